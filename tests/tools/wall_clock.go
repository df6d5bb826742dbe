// A wall clock that can jump: compiled into Go's package time, in place of what
// Now asks, for the NATS server of tests/chaos (tests/tools/install). It is as
// many seconds off as the file says that NATS_WALL_CLOCK names, which is read
// again every 50 ms. The monotonic clock, and with it every timer, is
// left alone.

package time

import (
	"sync/atomic"
	"syscall"
)

var (
	wallFile, _ = syscall.Getenv("NATS_WALL_CLOCK")
	wallOffset  atomic.Int64
)

// Timers ask for the time where no system call is allowed: a goroutine reads.
func init() {
	if wallFile == "" {
		return
	}
	readWallOffset()
	go func() {
		for {
			Sleep(50 * Millisecond)
			readWallOffset()
		}
	}()
}

func wallNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	return sec + wallOffset.Load(), nsec, mono
}

// A file that is not there, or is just being written, changes nothing.
func readWallOffset() {
	fd, err := open(wallFile)
	if err != nil {
		return
	}
	defer closefd(fd)
	var text [32]byte
	count, err := read(fd, text[:])
	if err != nil || count == 0 {
		return
	}
	sign, value := int64(1), int64(0)
	for _, c := range text[:count] {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			value = value*10 + int64(c-'0')
		}
	}
	wallOffset.Store(sign * value)
}
