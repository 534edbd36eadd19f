package presence

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Log carries records between the instances of an app, in one order for all of
// them. Its methods are called from one goroutine each, at the same time.
type Log interface {
	// Append adds records behind those of all instances, in one round trip. The
	// log may drop records that are older than keep. After an error they are
	// appended again. It must return soon after ctx ends.
	Append(ctx context.Context, keep time.Duration, records [][]byte) error

	// Follow calls record with all records that are not older than keep, then
	// live once, then record with further ones as they come. age is how long ago
	// one was appended. After an error it is called again, and goes on behind the
	// last record that it passed on. It must return soon after ctx ends.
	Follow(ctx context.Context, keep time.Duration, record func(data []byte, age time.Duration), live func()) error
}

const (
	// maxQueue is how many records wait for the log, of some 150 bytes.
	maxQueue = 1 << 14
	// maxBatch is how many of them go out at once.
	maxBatch = 512
	// retryTime is how long a failing log is left alone.
	retryTime = time.Second
	// appendTime is how long the log may take.
	appendTime = 5 * time.Second
)

// link is the Tracker's connection to the log.
type link struct {
	self    [8]byte // by which an instance knows its own records
	queue   chan []byte
	dropped atomic.Bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func (t *Tracker) connect() {
	ctx, cancel := context.WithCancel(context.Background())
	t.link = &link{queue: make(chan []byte, maxQueue), cancel: cancel}
	_, _ = rand.Read(t.link.self[:]) // never fails
	t.behind = true
	t.link.wg.Go(func() { t.write(ctx) })
	t.link.wg.Go(func() { t.read(ctx) })
}

// send never waits. What there is no room for is told again by the tab's next
// beat.
func (l *link) send(r *record) {
	select {
	case l.queue <- r.encode(l.self):
	default:
		l.dropped.Store(true)
	}
}

// write appends what is queued, until ctx ends.
func (t *Tracker) write(ctx context.Context) {
	var report health
	for {
		var batch [][]byte
		select {
		case b := <-t.link.queue:
			batch = append(batch, b)
		case <-ctx.Done():
			return
		}
		for len(batch) < maxBatch && len(t.link.queue) > 0 {
			batch = append(batch, <-t.link.queue)
		}
		for {
			limit, cancel := context.WithTimeout(ctx, appendTime)
			err := t.cfg.Log.Append(limit, t.keep(), batch)
			cancel()
			if ctx.Err() != nil {
				return
			}
			report.tell(t, "other instances do not hear of beats; they are kept for a while", err)
			if err == nil {
				break
			}
			if !pause(ctx) {
				return
			}
		}
		if t.link.dropped.Swap(false) {
			t.log().Warn("presence: some beats were not told to other instances, which hear of them by the next ones")
		}
	}
}

// read applies what other instances tell, until ctx ends.
func (t *Tracker) read(ctx context.Context) {
	var report health
	var once sync.Once
	settle := func() { once.Do(func() { close(t.ready) }) }
	first := true
	live := func() {
		report.tell(t, "", nil)
		t.mu.Lock()
		if t.behind && !first {
			t.hold = t.now() + t.ttl // what was said meanwhile may be lost
		}
		t.behind, first = false, false
		t.mu.Unlock()
		settle()
	}
	for {
		err := t.cfg.Log.Follow(ctx, t.keep(), t.hear, live)
		if ctx.Err() != nil {
			settle()
			return
		}
		if err == nil {
			err = errors.New("presence: Log.Follow has returned")
		}
		t.mu.Lock()
		t.behind = true
		t.mu.Unlock()
		settle()
		report.tell(t, "other instances can't be heard, so nobody leaves", err)
		if !pause(ctx) {
			return
		}
	}
}

func (t *Tracker) keep() time.Duration { return time.Duration(t.ttl) * time.Second }

// hear applies a record of another instance.
func (t *Tracker) hear(data []byte, age time.Duration) {
	r, from, ok := decode(data)
	if !ok || from == t.link.self {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now() - int32(min(max(age, 0), t.keep())/time.Second)
	if done, _ := t.refresh(&r, at); !done && !t.closed {
		t.apply(&r, at)
	}
}

// health reports a failure when it begins and when it ends.
type health struct{ bad bool }

func (h *health) tell(t *Tracker, what string, err error) {
	switch {
	case err != nil && !h.bad:
		t.log().Error("presence: Config.Log fails: "+what, "error", err)
	case err == nil && h.bad:
		t.log().Info("presence: Config.Log works again")
	}
	h.bad = err != nil
}

func pause(ctx context.Context) bool {
	select {
	case <-time.After(retryTime):
		return true
	case <-ctx.Done():
		return false
	}
}

// version is the first byte of a record. Others are left alone, so that instances
// of two versions can stand side by side.
const version = 1

func (r *record) encode(self [8]byte) []byte {
	b := make([]byte, 0, 40+len(r.session)+len(r.path)+len(r.user)+len(r.meta))
	b = append(append(b, version), self[:]...)
	var flags byte
	if r.leave {
		flags = 1
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, r.tab)
	b = binary.BigEndian.AppendUint32(b, r.sent)
	for _, s := range []string{r.session, r.path, r.user, r.meta} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func decode(b []byte) (r record, self [8]byte, ok bool) {
	const head = 1 + 8 + 1 + 2*4
	if len(b) < head || b[0] != version {
		return r, self, false
	}
	copy(self[:], b[1:])
	r.leave = b[9]&1 != 0
	r.tab = binary.BigEndian.Uint32(b[10:])
	r.sent = binary.BigEndian.Uint32(b[14:])
	b = b[head:]
	for _, s := range []*string{&r.session, &r.path, &r.user, &r.meta} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return r, self, false
		}
		*s = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	return r, self, r.session != "" && (r.leave || r.user != "" && r.tab != 0)
}
