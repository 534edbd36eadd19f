package keepalive_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// sessionUser is a browser of a program that runs under scs, or under keepalive.
type sessionUser struct {
	apptest.Client
	sm    *scs.SessionManager
	other string // the token of another session
	seen  strings.Builder
}

// operation is a call of the session manager, and returns what a handler sees.
type operation func(ctx context.Context, u *sessionUser) any

type registeredValue struct {
	Name string
	At   time.Time
}

// sessionValues has a value of each type that is decoded without encoding/gob, and
// some of others.
var sessionValues = []any{
	nil, "", "text", strings.Repeat("x", 300), false, true, 0, -1, math.MaxInt, int8(-8), int16(16), int32(-32), int64(1), int64(math.MinInt64),
	uint(1), uint8(8), uint16(16), uint32(32), uint64(math.MaxUint64), uintptr(1), float32(1.5), 0.0, math.Copysign(0, -1), math.Inf(1), math.NaN(),
	[]byte(nil), []byte{}, []byte("bytes"), []string(nil), []string{}, []string{"a", ""}, time.Time{}, time.Unix(1e9, 5).UTC(), time.Unix(1e9, 5),
	1i, []int{1}, map[string]any{"a": 1}, registeredValue{"x", time.Unix(1e9, 0).UTC()}, []registeredValue{{Name: "y"}},
}

func init() {
	for _, v := range sessionValues[len(sessionValues)-4:] {
		gob.Register(v)
	}
	gob.Register(time.Time{})
}

// randomOperation draws an operation of a handler, and its description.
func randomOperation(rnd *rand.Rand) (string, operation) {
	key := string(rune('a' + rnd.IntN(6)))
	value := sessionValues[rnd.IntN(len(sessionValues))]
	if rnd.IntN(40) == 0 {
		value = make(chan int) // can't be saved
	}
	lifetime := time.Duration(1+rnd.IntN(120)) * time.Minute
	switch n := rnd.IntN(40); {
	case n < 14:
		return fmt.Sprintf("Put %s %T %v", key, value, value), func(ctx context.Context, u *sessionUser) any { u.sm.Put(ctx, key, value); return nil }
	case n < 22:
		return "Get " + key, func(ctx context.Context, u *sessionUser) any { return u.sm.Get(ctx, key) }
	case n < 25:
		return "Pop " + key, func(ctx context.Context, u *sessionUser) any { return u.sm.Pop(ctx, key) }
	case n < 28:
		return "Remove " + key, func(ctx context.Context, u *sessionUser) any { u.sm.Remove(ctx, key); return nil }
	case n < 31:
		return "Keys", func(ctx context.Context, u *sessionUser) any { return u.sm.Keys(ctx) }
	case n < 33:
		return "Exists " + key, func(ctx context.Context, u *sessionUser) any { return u.sm.Exists(ctx, key) }
	case n < 34:
		return "Clear", func(ctx context.Context, u *sessionUser) any { return u.sm.Clear(ctx) }
	case n < 36:
		return "RenewToken", func(ctx context.Context, u *sessionUser) any { return u.sm.RenewToken(ctx) }
	case n < 37:
		return "Destroy", func(ctx context.Context, u *sessionUser) any { return u.sm.Destroy(ctx) }
	case n < 38:
		return "SetDeadline " + lifetime.String(), func(ctx context.Context, u *sessionUser) any {
			u.sm.SetDeadline(ctx, time.Now().Add(lifetime))
			return nil
		}
	case n < 39:
		return "MergeSession", func(ctx context.Context, u *sessionUser) any { return u.sm.MergeSession(ctx, u.other) }
	default:
		return "Deadline and Token", func(ctx context.Context, u *sessionUser) any {
			return fmt.Sprint(u.sm.Deadline(ctx), u.sm.Token(ctx) == "")
		}
	}
}

// describe returns a value with its type.
func describe(v any) string {
	if err, ok := v.(error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T %#v", v, v)
}

// newSessionUser returns a user with a session of its own, which scs has written.
func newSessionUser(t *testing.T, values map[string]any, wrap func(*scs.SessionManager, http.Handler) http.Handler, app func(*sessionUser) http.Handler) *sessionUser {
	u := &sessionUser{sm: newSessions()}
	u.sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	for _, token := range []*string{&u.Token, &u.other} {
		ctx, err := u.sm.Load(t.Context(), "")
		require.NoError(t, err)
		for key, v := range values {
			u.sm.Put(ctx, key, v)
		}
		*token, _, err = u.sm.Commit(ctx)
		require.NoError(t, err)
	}
	u.Handler = wrap(u.sm, app(u))
	return u
}

// A handler sees and stores the same under keepalive as under scs, whatever it does
// with its session, where requests come one after another.
func TestSessionPrograms(t *testing.T) {
	for seed := range uint64(3000) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			values := make(map[string]any)
			for range rnd.IntN(5) {
				values[string(rune('a'+rnd.IntN(6)))] = sessionValues[rnd.IntN(len(sessionValues))]
			}
			var operations []operation
			app := func(u *sessionUser) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for _, do := range operations {
						_, _ = fmt.Fprintln(&u.seen, describe(do(r.Context(), u)))
					}
				})
			}
			users := []*sessionUser{
				newSessionUser(t, values, func(sm *scs.SessionManager, h http.Handler) http.Handler { return sm.LoadAndSave(h) }, app),
				newSessionUser(t, values, func(sm *scs.SessionManager, h http.Handler) http.Handler {
					return newManager(t, sm, keepalive.Config{}).LoadAndSave(h)
				}, app),
			}
			program := fmt.Sprintln("seed", seed, "with", values)
			for range 1 + rnd.IntN(6) {
				program += "request\n"
				operations = nil
				for range rnd.IntN(7) {
					text, do := randomOperation(rnd)
					program += "\t" + text + "\n"
					operations = append(operations, do)
				}
				for _, u := range users {
					token := u.Token
					res := u.Get("/")
					deadline, values, found := apptest.Stored(t, u.sm, u.Token)
					_, _ = fmt.Fprintln(&u.seen, res.StatusCode, u.Token == token, u.Token == "", found, deadline)
					for _, key := range slices.Sorted(maps.Keys(values)) {
						_, _ = fmt.Fprintln(&u.seen, key, describe(values[key]))
					}
				}
				require.Equal(t, users[0].seen.String(), users[1].seen.String(), "%s", program)
				// Not whole minutes, as lifetimes are: scs's store ends a session a moment later.
				pause := time.Duration(rnd.IntN(30)) * time.Minute
				if pause >= 18*time.Minute {
					pause += 3 * time.Minute // a touch that gains less than a minute is left out
				}
				time.Sleep(pause + time.Second)
			}
		})
	}
}
