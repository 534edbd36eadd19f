// Package redispresence shares the presence of users between the instances of an
// app, by a stream in Redis.
//
//	log := redispresence.New(redis.NewClient(&redis.Options{Addr: addr}), redispresence.Options{})
//	tracker, err := presence.New(presence.Config{Log: log, …})
//
// It needs Redis 6.2, and is tested with 7.0. There is one key, so it works in a
// cluster. The user of the client must be allowed XADD, XTRIM, XREAD, PEXPIRE and
// TIME.
//
// A beat costs one round trip, which it shares with the beats that come meanwhile,
// and about 120 bytes in the stream, five times for each tab in a time to live of
// 5 minutes. The stream is trimmed to that age and to [Options.MaxLen]. It expires
// when no instance has written for twice that time, so nothing has to be cleaned up
// after a crash. KEYS and SCAN are never used.
//
// Instances trust the stream: whoever may write to it may say who is online. Users,
// their metadata and how long they have been idle are in it as plain text.
package redispresence

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/presence"
)

// Options says where the stream is. The zero value of each field is its default.
// Fields must be named in literals.
type Options struct {
	_ [0]func()

	// Key is the key of the stream. Apps that share a database need a key each.
	// Default: "keepalive:presence".
	Key string

	// MaxLen is about how many beats the stream holds at most, whatever their age.
	// If it is full, an instance that starts misses some of the oldest until their
	// tabs beat again. Default: 1,000,000.
	MaxLen int64
}

// Log is a presence.Log. Make one with New for each Tracker; the zero value can't
// be used. Append and Follow may run concurrently with each other, but neither with
// itself.
type Log struct {
	client redis.UniversalClient
	opts   Options

	trimmed time.Time // used by Append only
	lastID  string    // of the last entry that was read; used by Follow only
}

var _ presence.Log = (*Log)(nil)

// New returns a Log that uses client, which stays the caller's to configure and to
// close.
func New(client redis.UniversalClient, opts Options) *Log {
	if opts.Key == "" {
		opts.Key = "keepalive:presence"
	}
	if opts.MaxLen <= 0 {
		opts.MaxLen = 1_000_000
	}
	return &Log{client: client, opts: opts}
}

const (
	// field is the name of an entry's only field.
	field = "b"
	// pageSize is how many entries are read at once.
	pageSize = 1000
	// blockTime is how long a read waits for more.
	blockTime = time.Second
	// trimInterval is how often Append trims the stream by age.
	trimInterval = time.Minute
	// clockInterval is how often Follow compares Redis's clock with ours.
	clockInterval = time.Minute
)

// Append adds records in one round trip. Once a minute it trims the stream by age, in
// another one. If that fails, the next attempt follows after a minute, and the stream
// grows up to [Options.MaxLen].
func (l *Log) Append(ctx context.Context, keep time.Duration, records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	cmds, err := withContext(ctx, func() ([]redis.Cmder, error) {
		return l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, r := range records {
				p.XAdd(ctx, &redis.XAddArgs{Stream: l.opts.Key, MaxLen: l.opts.MaxLen, Approx: true, Values: []any{field, r}})
			}
			p.PExpire(ctx, l.opts.Key, 2*keep)
			return nil
		})
	})
	if err != nil {
		return err
	}
	if time.Since(l.trimmed) >= trimInterval {
		l.trimmed = time.Now()
		// After an error of Append the Tracker would add the records again.
		_ = l.trim(ctx, keep, cmds[0].(*redis.StringCmd).Val())
	}
	return nil
}

// trim removes entries that are older than keep. newest is the ID of a new one, which
// has Redis's time.
func (l *Log) trim(ctx context.Context, keep time.Duration, newest string) error {
	now, err := milliseconds(newest)
	if err != nil {
		return err
	}
	oldest := strconv.FormatInt(now-keep.Milliseconds(), 10)
	_, err = withContext(ctx, func() (int64, error) {
		return l.client.XTrimMinIDApprox(ctx, l.opts.Key, oldest, 0).Result()
	})
	return err
}

// Follow reads the stream from where the last call has stopped; the first call
// begins with entries as old as keep. It waits for more in one command at a time, for
// a second each, which takes a connection of the client's pool.
func (l *Log) Follow(ctx context.Context, keep time.Duration, record func(data []byte, age time.Duration), live func()) error {
	var now clock
	for isLive := false; ; {
		if err := l.setClock(ctx, &now); err != nil {
			return err
		}
		if l.lastID == "" {
			l.lastID = strconv.FormatInt(now.redis().Add(-keep).UnixMilli(), 10)
		}
		entries, err := l.read(ctx, isLive)
		if err != nil {
			return err
		}
		for _, e := range entries {
			l.lastID = e.ID
			sent, err := milliseconds(e.ID)
			if data, ok := e.Values[field].(string); ok && err == nil {
				record([]byte(data), now.redis().Sub(time.UnixMilli(sent)))
			}
		}
		if !isLive && len(entries) < pageSize {
			isLive = true
			live()
		}
	}
}

// read returns the entries after lastID. It waits for some if wait is set.
func (l *Log) read(ctx context.Context, wait bool) ([]redis.XMessage, error) {
	args := &redis.XReadArgs{Streams: []string{l.opts.Key, l.lastID}, Count: pageSize, Block: -1} // not at all
	if wait {
		args.Block = blockTime
	}
	streams, err := withContext(ctx, func() ([]redis.XStream, error) { return l.client.XRead(ctx, args).Result() })
	if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil // there is nothing new
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// clock knows Redis's time, by which the stream is ordered.
type clock struct {
	ahead time.Duration // of ours
	set   time.Time
}

func (c *clock) redis() time.Time { return time.Now().Add(c.ahead) }

// setClock asks Redis for its time if the last answer is old.
func (l *Log) setClock(ctx context.Context, c *clock) error {
	if time.Since(c.set) < clockInterval {
		return nil
	}
	now, err := withContext(ctx, func() (time.Time, error) { return l.client.Time(ctx).Result() })
	if err != nil {
		return err
	}
	c.set, c.ahead = time.Now(), time.Until(now)
	return nil
}

// milliseconds returns the time in the ID of an entry.
func milliseconds(id string) (int64, error) {
	ms, _, _ := strings.Cut(id, "-")
	return strconv.ParseInt(ms, 10, 64)
}

// withContext returns when call does, or when ctx ends. go-redis alone waits for an
// answer that does not come until its own timeouts. What has been sent may still
// be carried out.
func withContext[T any](ctx context.Context, call func() (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	if err := ctx.Err(); err != nil {
		return v, err
	}
	done := make(chan result, 1)
	go func() {
		v, err := call()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}
