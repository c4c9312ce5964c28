// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"example.org/agent/fleet/keys"
)

// Dir follows a directory of files, PATH/<id>.json with a declaration each. Names that begin with a dot are not read, but for
// .confirm, which has the word that permits what the guard holds back.
type Dir struct {
	path    string
	recheck chan struct{}
}

// NewDir makes the source.
func NewDir(path string) *Dir {
	return &Dir{path, make(chan struct{}, 1)}
}

// Recheck has the directory read again.
func (d *Dir) Recheck() {
	select {
	case d.recheck <- struct{}{}:
	default:
	}
}

// Verify has nothing to add: each update is all that there is.
func (d *Dir) Verify(context.Context, []string) (Update, error) {
	return Update{}, errors.New("a directory is read whole")
}

// Run delivers updates until the context is done. A directory that cannot be read is no empty one: it changes nothing.
func (d *Dir) Run(ctx context.Context, deliver func(Update)) {
	var lost time.Time
	for ctx.Err() == nil {
		err := d.session(ctx, func(update Update) {
			lost = time.Time{}
			deliver(update)
		})
		if lost.IsZero() {
			lost = time.Now()
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			deliver(Update{Cut: err.Error(), Since: lost})
			timer := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-d.recheck:
			}
			timer.Stop()
		}
	}
}

// What can change what is read. A write is heard of when the file is closed; of the directories that Kubernetes makes of a
// ConfigMap, a rename of ..data.
const changes = syscall.IN_CLOSE_WRITE | syscall.IN_CREATE | syscall.IN_DELETE | syscall.IN_MOVED_FROM | syscall.IN_MOVED_TO |
	syscall.IN_ATTRIB | syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_ONLYDIR

// session follows one directory, until that is gone or is another one. It returns nil to begin anew at once.
func (d *Dir) session(ctx context.Context, deliver func(Update)) error {
	descriptor, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch %s: %w", d.path, err)
	}
	notify := os.NewFile(uintptr(descriptor), "inotify")
	defer notify.Close()
	if _, err := syscall.InotifyAddWatch(descriptor, d.path, changes); err != nil {
		return fmt.Errorf("watch %s: %w", d.path, err)
	}
	events := make(chan bool)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go watchDir(ctx, notify, events)
	for {
		// ORDER: it is read after the watch began, so no change is missed.
		update, err := d.read()
		if err != nil {
			return err
		}
		deliver(update)
		select {
		case <-ctx.Done():
			return nil
		case <-d.recheck:
		case same := <-events:
			if !same {
				return nil
			}
		}
	}
}

// watchDir sends true when something has changed, and false when the directory is not this one any more.
func watchDir(ctx context.Context, notify *os.File, events chan<- bool) {
	buffer := make([]byte, 64*1024)
	for {
		length, err := notify.Read(buffer)
		same := err == nil
		for at := 0; at+syscall.SizeofInotifyEvent <= length; {
			event := (*syscall.InotifyEvent)(unsafe.Pointer(&buffer[at]))
			const gone = syscall.IN_DELETE_SELF | syscall.IN_MOVE_SELF | syscall.IN_IGNORED | syscall.IN_UNMOUNT
			if event.Mask&gone != 0 {
				same = false
			}
			at += syscall.SizeofInotifyEvent + int(event.Len)
		}
		select {
		case events <- same:
		case <-ctx.Done():
			return
		}
		if !same {
			return
		}
	}
}

// read reads all files. One that vanishes meanwhile has it begin anew.
func (d *Dir) read() (Update, error) {
	for tries := 0; ; tries++ {
		update, err := d.readOnce()
		if tries == 20 || !errors.Is(err, errVanished) {
			return update, err
		}
	}
}

var errVanished = errors.New("vanished meanwhile")

func (d *Dir) readOnce() (Update, error) {
	update := Update{Whole: true}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return update, fmt.Errorf("read %s: %w", d.path, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		key := keys.Key{Kind: keys.NodeProxy, ID: strings.TrimSuffix(name, ".json")}
		if name == ".confirm" {
			key = keys.Key{Kind: keys.NodeConfirm}
		} else if strings.HasPrefix(name, ".") || key.ID == name {
			continue
		}
		path := filepath.Join(d.path, name)
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() {
			continue
		}
		var value []byte
		if err == nil {
			value, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			// A link that leads nowhere is still there.
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				return update, fmt.Errorf("read %s: %w", path, errVanished)
			}
		}
		if err != nil {
			return update, fmt.Errorf("read %s: %w", path, err)
		}
		update.Keys = append(update.Keys, KV{Key: key, Value: value, Version: info.ModTime().UnixNano()})
	}
	return update, nil
}
