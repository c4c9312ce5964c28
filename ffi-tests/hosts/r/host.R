# SPDX-License-Identifier: MPL-2.0
# host.R DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. stubs.so is beside it.
arguments <- commandArgs(trailingOnly = TRUE)
dyn.load("stubs.so")
.Call("host_start", arguments[1], arguments[2])
own <- sapply(1:20, function(i) suppressWarnings(system2("./child")))
cat("own", sum(own == 3), "of 20\n")
worker <- parallel::mcparallel(.Call("host_end_grace")) # the handles are of no use there, and do no harm
cat("fork", parallel::mccollect(worker)[[1]], "\n")
tryCatch(repeat cat(.Call("host_next", as.integer(arguments[3])), "\n", sep = ""),
  interrupt = function(condition) cat("interrupted\n"))
if (arguments[4] == "kill") stopifnot(.Call("host_kill") == 0) # else the proxies run on, for the next host
