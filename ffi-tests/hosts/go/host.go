// SPDX-License-Identifier: MPL-2.0

// host DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"

	"example.org/agent/proxyprocess"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	turn, err := strconv.Atoi(os.Args[3])
	check(err)
	state, err := proxyprocess.NewState()
	check(err)
	check(state.ReplaceAllJSON([]byte(os.Args[2])))
	manager, err := proxyprocess.NewManager(proxyprocess.ManagerOptions{State: state, DataDir: os.Args[1], AllowRoot: true})
	check(err)
	events, err := manager.Events() // before the restore, to see adoptions
	check(err)
	check(manager.Restore(""))
	go func() { check(manager.Run()) }()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	own := 0
	for i := 0; i < 20; i++ {
		if exit, ok := exec.Command("./child").Run().(*exec.ExitError); ok && exit.ExitCode() == 3 {
			own++
		}
	}
	fmt.Printf("own %d of 20\nfork none\n", own)
	happened := events.Channel(context.Background())
	for isInterrupted := false; !isInterrupted; {
		select {
		case event := <-happened:
			text, err := json.Marshal(event)
			check(err)
			fmt.Println(string(text))
		case <-signals:
			isInterrupted = true
		case <-time.After(time.Duration(turn) * time.Millisecond):
			fmt.Println("turn")
		}
	}
	fmt.Println("interrupted")
	if os.Args[4] == "kill" {
		check(manager.Kill()) // else the proxies run on, for the next host
	}
}
