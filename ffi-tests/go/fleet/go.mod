// A module of its own so that `./...` of the package beside leaves it out: its dependencies are Debian's packages, found by
// GOPATH, as the Makefile sets it.
module example.org/agent/fleet

go 1.19
