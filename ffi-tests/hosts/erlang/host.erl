%% SPDX-License-Identifier: MPL-2.0
%% erl ... -run host main -extra DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Ends on SIGTERM.
-module(host).
-export([main/0, start/2, next/1, finish/0, init/1, handle_event/2]).
-on_load(load/0).
load() -> erlang:load_nif("./host_nif", 0).
start(_, _) -> exit(not_loaded).
next(_) -> exit(not_loaded).
finish() -> exit(not_loaded).

init({Main, _}) -> {ok, Main}. % a handler of signals
handle_event(Signal, Main) -> Main ! Signal, {ok, Main}.

follow(Turn) -> io:format("~s~n", [next(Turn)]), follow(Turn).

main() ->
    [DataDir, Proxies, Turn, End] = init:get_plain_arguments(),
    start(unicode:characters_to_binary([DataDir, 0]), unicode:characters_to_binary(Proxies)),
    gen_event:swap_handler(erl_signal_server, {erl_signal_handler, []}, {host, self()}),
    spawn_link(fun() -> follow(list_to_integer(Turn)) end),
    Run = fun(_) -> Port = open_port({spawn_executable, "./child"}, [exit_status]),
        receive {Port, {exit_status, Status}} -> Status end end,
    io:format("own ~b of 20~nfork none~n", [length([3 || 3 <- lists:map(Run, lists:seq(1, 20))])]),
    receive sigterm -> io:format("interrupted~n") end,
    End =:= "kill" andalso finish(), % else the proxies run on, for the next host
    halt(0).
