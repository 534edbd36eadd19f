// Package redispresence lets the instances of an app know the same presence, by a
// stream in Redis.
//
//	log := redispresence.New(redis.NewClient(&redis.Options{Addr: addr}), redispresence.Options{})
//	tracker, err := presence.New(presence.Config{Log: log, …})
//
// It needs Redis 6.2, and is tested with 7.0. There is one key, so that a cluster
// will do. Its user must be allowed XADD, XTRIM, XREAD, PEXPIRE and TIME.
//
// A beat costs one round trip, which those that come meanwhile share, and about 110
// bytes in the stream, five times for each tab in a time to live of 5 minutes. The
// stream is cut at that age and at [Options.MaxLen], and expires when no instance
// has written for twice that time: nothing has to be cleaned up after a crash.
// Nothing is ever searched for, neither by KEYS nor by SCAN.
//
// What stands in the stream is believed: whoever may write there may say who is
// online. Users and what is shown of them stand there in plain text.
package redispresence

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say where the stream is. The zero value of each field is its default.
// Fields must be named in literals.
type Options struct {
	_ [0]func()

	// Key is the stream's. Apps that share a database need keys of their own.
	// Default: "keepalive:presence".
	Key string

	// MaxLen is about how many beats the stream holds at most, whatever their age.
	// When it is full an instance that starts misses some of the oldest, until
	// their tabs beat again. Default: 1,000,000.
	MaxLen int64
}

// Log is a presence.Log. Make one with New for each Tracker; the zero value can't
// be used.
type Log struct {
	client redis.UniversalClient
	opts   Options

	// Append's own.
	trimmed time.Time

	// Follow's own.
	last string // the last ID that was read
}

// New returns a Log. The client stays the caller's, to configure and to close.
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
	// field is the only one of an entry.
	field = "b"
	// pageSize is how many entries are read at once.
	pageSize = 1000
	// blockTime is how long a read waits for more.
	blockTime = time.Second
	// checkTime is how often the stream is trimmed, and clocks are compared.
	checkTime = time.Minute
)

// Append adds records by one round trip, and once a minute cuts the stream by
// another one.
func (l *Log) Append(ctx context.Context, keep time.Duration, records [][]byte) error {
	cmds, err := within(ctx, func() ([]redis.Cmder, error) {
		return l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, r := range records {
				p.XAdd(ctx, &redis.XAddArgs{Stream: l.opts.Key, MaxLen: l.opts.MaxLen, Approx: true, Values: []any{field, r}})
			}
			p.PExpire(ctx, l.opts.Key, 2*keep)
			return nil
		})
	})
	if err != nil || len(records) == 0 || time.Since(l.trimmed) < checkTime {
		return err
	}
	l.trimmed = time.Now()
	at, err := milliseconds(cmds[0].(*redis.StringCmd).Val())
	if err != nil {
		return err
	}
	_, err = within(ctx, func() (int64, error) {
		return l.client.XTrimMinIDApprox(ctx, l.opts.Key, strconv.FormatInt(at-keep.Milliseconds(), 10), 0).Result()
	})
	return err
}

// Follow reads the stream from where it has stopped before, at first from keep
// ago. It waits for more in a command of its own, a second at a time, on a
// connection of the client's pool.
func (l *Log) Follow(ctx context.Context, keep time.Duration, record func(data []byte, age time.Duration), live func()) error {
	var ahead time.Duration // Redis's clock, of ours
	var checked time.Time
	for caughtUp := false; ; {
		if time.Since(checked) > checkTime {
			now, err := within(ctx, func() (time.Time, error) { return l.client.Time(ctx).Result() })
			if err != nil {
				return err
			}
			checked, ahead = time.Now(), time.Until(now)
		}
		if l.last == "" {
			l.last = strconv.FormatInt(time.Now().Add(ahead-keep).UnixMilli(), 10)
		}
		args := &redis.XReadArgs{Streams: []string{l.opts.Key, l.last}, Count: pageSize, Block: blockTime}
		if !caughtUp {
			args.Block = -1 // not at all
		}
		got, err := within(ctx, func() ([]redis.XStream, error) { return l.client.XRead(ctx, args).Result() })
		if err != nil && !errors.Is(err, redis.Nil) { // there is nothing new
			return err
		}
		n := 0
		for _, s := range got {
			for _, m := range s.Messages {
				n++
				l.last = m.ID
				at, err := milliseconds(m.ID)
				if data, ok := m.Values[field].(string); ok && err == nil {
					record([]byte(data), time.Until(time.UnixMilli(at).Add(-ahead))*-1)
				}
			}
		}
		if !caughtUp && n < pageSize {
			caughtUp = true
			live()
		}
	}
}

// milliseconds is the time in a stream's ID.
func milliseconds(id string) (int64, error) {
	ms, _, _ := strings.Cut(id, "-")
	return strconv.ParseInt(ms, 10, 64)
}

// within ends a call with its context. go-redis alone waits for an answer that
// does not come until its own timeouts. What has been sent may still be carried
// out.
func within[T any](ctx context.Context, call func() (T, error)) (v T, err error) {
	type answer struct {
		v   T
		err error
	}
	if err := ctx.Err(); err != nil {
		return v, err
	}
	done := make(chan answer, 1)
	go func() {
		v, err := call()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.v, a.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}
