package presence

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Log carries records between the instances of an app, in one order for all of
// them. Append and Follow may run concurrently with each other, but neither with
// itself.
type Log interface {
	// Append adds records behind those of all instances, in one round trip. The
	// log may drop records that are older than keep. After an error they are
	// appended again. It must return soon after ctx ends.
	Append(ctx context.Context, keep time.Duration, records [][]byte) error

	// Follow calls record with all records that are not older than keep, then
	// live once, then record with further ones as they come. age is how long ago
	// a record was appended. After an error Follow is called again, and goes on
	// behind the last record that it passed on. It must return soon after ctx ends.
	Follow(ctx context.Context, keep time.Duration, record func(data []byte, age time.Duration), live func()) error
}

const (
	// queueSize is how many records wait for the log, of some 150 bytes.
	queueSize = 1 << 14
	// batchSize is how many of them are appended at once.
	batchSize = 512
	// retryTime is the pause after a failure of the log.
	retryTime = time.Second
	// appendTime is how long an Append may take.
	appendTime = 5 * time.Second
)

// outbox holds the records of this instance that the log has not taken yet.
type outbox struct {
	sender     [8]byte // by which an instance knows its own records
	queue      chan []byte
	overflowed atomic.Bool
}

// send never waits. If there is no room, other instances learn of the tab by its
// next beat.
func (o *outbox) send(r *record) {
	select {
	case o.queue <- r.encode(o.sender):
	default:
		o.overflowed.Store(true)
	}
}

// batch waits for records and returns those that are there, or none when ctx ends.
func (o *outbox) batch(ctx context.Context) (records [][]byte) {
	select {
	case b := <-o.queue:
		records = append(records, b)
	case <-ctx.Done():
		return nil
	}
	for len(records) < batchSize && len(o.queue) > 0 {
		records = append(records, <-o.queue)
	}
	return records
}

// keep is the age up to which a record may still be of an open tab.
func (t *Tracker) keep() time.Duration { return t.cfg.TTL + tickTime }

// connect begins to read and write Config.Log.
func (t *Tracker) connect() {
	t.outbox = &outbox{queue: make(chan []byte, queueSize)}
	_, _ = rand.Read(t.outbox.sender[:]) // never fails
	t.wg.Go(t.appendRecords)
	t.wg.Go(t.followLog)
}

// appendRecords appends the records of the outbox until the Tracker is closed.
func (t *Tracker) appendRecords() {
	status := logStatus{t: t, failure: "other instances do not receive beats, which wait here for a while"}
	for {
		batch := t.outbox.batch(t.ctx)
		for {
			if t.closed() {
				return
			}
			ctx, cancel := context.WithTimeout(t.ctx, appendTime)
			err := t.cfg.Log.Append(ctx, t.keep(), batch)
			cancel()
			status.report(err)
			if err == nil {
				break
			}
			t.pause()
		}
		if t.outbox.overflowed.Swap(false) {
			t.log().Warn("presence: some beats were not sent to other instances, which learn of their tabs from the next beats")
		}
	}
}

// followLog applies the records of other instances until the Tracker is closed.
func (t *Tracker) followLog() {
	status := logStatus{t: t, failure: "beats of other instances are not received, so nobody leaves"}
	setReady := sync.OnceFunc(func() { close(t.ready) })
	defer setReady()
	wasLive := false
	live := func() {
		status.report(nil)
		t.setFollowing(true, wasLive)
		wasLive = true
		setReady()
	}
	for {
		err := t.cfg.Log.Follow(t.ctx, t.keep(), t.receive, live)
		if t.closed() {
			return
		}
		if err == nil {
			err = errors.New("presence: Log.Follow has returned")
		}
		t.setFollowing(false, false)
		status.report(err)
		setReady() // who reads must not wait for a log that is down
		t.pause()
	}
}

// setFollowing notes whether the log is being read. After a gap, in which records
// may have been lost, tabs have a full time to live to beat again.
func (t *Tracker) setFollowing(following, gap bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.following = following
	if gap {
		t.holdUntil = time.Now().Add(t.cfg.TTL)
	}
}

// receive applies a record of another instance.
func (t *Tracker) receive(data []byte, age time.Duration) {
	r, sender, ok := decodeRecord(data)
	if !ok || sender == t.outbox.sender || t.closed() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.update(&r, time.Now().Add(-min(max(age, 0), t.keep())))
}

// pause waits before another attempt.
func (t *Tracker) pause() {
	select {
	case <-time.After(retryTime):
	case <-t.ctx.Done():
	}
}

// logStatus logs a failure of Config.Log when it begins and when it ends.
type logStatus struct {
	t       *Tracker
	failure string
	failing bool
}

func (s *logStatus) report(err error) {
	switch {
	case s.t.closed(): // it had to fail
	case err != nil && !s.failing:
		s.t.log().Error("presence: Config.Log fails: "+s.failure, "error", err)
	case err == nil && s.failing:
		s.t.log().Info("presence: Config.Log works again")
	}
	s.failing = err != nil
}
