(* SPDX-License-Identifier: MPL-2.0 *)
(* host DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Built with stubs.c and unix.cmxa. *)
external start : string -> string -> Unix.file_descr = "host_start" (* a descriptor is an int *)
external next : unit -> string = "host_next"
external finish : bool -> int = "host_end"

let rec drain () = match next () with "" -> () | json -> print_endline json; drain ()

let rec follow descriptor turn =
  (* A signal ends it, and Ctrl-C raises Break. *)
  if Unix.select [descriptor] [] [] turn = ([], [], []) then print_endline "turn";
  drain (); follow descriptor turn

let () =
  let descriptor = start Sys.argv.(1) Sys.argv.(2) in
  let own = List.length (List.filter (fun _ -> Sys.command "./child" = 3) (List.init 20 Fun.id)) in
  Printf.printf "own %d of 20\n%!" own;
  let pid = Unix.fork () in
  if pid = 0 then Unix._exit (- (finish false)); (* the handles are of no use there, and do no harm *)
  (match Unix.waitpid [] pid with _, Unix.WEXITED code -> Printf.printf "fork %d\n%!" (-code) | _ -> failwith "fork");
  Sys.catch_break true;
  (try follow descriptor (float (int_of_string Sys.argv.(3)) /. 1000.) with Sys.Break -> print_endline "interrupted");
  if Sys.argv.(4) = "kill" then assert (finish true = 0) (* else the proxies run on, for the next host *)
