package presence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// watched is what a subscriber got: who was online, and the events after it.
type watched struct {
	page   string // "": all pages
	online []presence.Visitor
	events []presence.Event
}

// TestSubscribersAgree lets tabs come, move, change their user and leave at random, from
// many goroutines, while subscribers of all speeds come and leave. Each must have
// got a part of the same history without a gap: its snapshot shows what the events
// before that part result in. There are so many tabs that a snapshot is made in pieces.
func TestSubscribersAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 300, Grace: time.Second, MaxUserTabs: 5000})
		recording, stop := context.WithCancel(t.Context())
		_, events, err := tracker.Subscribe(recording)
		require.NoError(t, err)
		var history []presence.Event
		recorded := make(chan struct{})
		go func() {
			for e := range events {
				history = append(history, e)
			}
			close(recorded)
		}()

		var mu sync.Mutex
		var seen []watched
		watching, end := context.WithCancel(t.Context())
		var movers, watchers sync.WaitGroup
		for i := range 4 {
			movers.Go(func() { moveAtRandom(tracker, i) })
		}
		time.Sleep(time.Second) // about half of the tabs are there
		for i := range 12 {
			watchers.Go(func() {
				for random := rand.New(rand.NewPCG(uint64(i), 1)); watching.Err() == nil; {
					list := watchAtRandom(t, watching, tracker, random)
					mu.Lock()
					seen = append(seen, list...)
					mu.Unlock()
				}
			})
		}
		movers.Wait()
		end()
		watchers.Wait()
		time.Sleep(time.Second)
		stop()
		<-recorded

		m := replay(t, history)
		online, err := tracker.Online(t.Context())
		require.NoError(t, err)
		require.Equal(t, m.states[""][len(history)], stateOf(online), "the recorder missed events")
		pieces, slow := 0, 0
		for _, w := range seen {
			require.True(t, m.agrees(w), "page %q, %d tabs, events %v", w.page, countPages(w.online), w.events)
			if countPages(w.online) > 200 {
				pieces++
			}
			if len(w.events) == 0 {
				slow++
			}
		}
		require.Greater(t, len(history), 5000)
		require.Greater(t, pieces, 50)
		require.Greater(t, len(seen)-slow, 50)
		t.Logf("%d events, %d subscriptions, %d of them with large snapshots, %d without events", len(history), len(seen), pieces, slow)
	})
}

// moveAtRandom is what happens in a part of the sessions.
func moveAtRandom(tracker *presence.Tracker, part int) {
	random := rand.New(rand.NewPCG(uint64(part), 0))
	for i := range 2000 {
		n := random.IntN(200)
		session, tab := fmt.Sprintf("%d-%d", part, n), fmt.Sprint("t", random.IntN(2))
		switch op := random.IntN(40); {
		case i > 500 && op == 0:
			end(tracker, session)
		case i > 500 && op < 4:
			leave(tracker, session, tab)
		default:
			user := fmt.Sprint("u", (n+part*random.IntN(2))%50) // sometimes another one
			idle := []time.Duration{0, time.Millisecond, 10 * time.Minute}[random.IntN(3)]
			used(tracker, user, session, tab, fmt.Sprint("/", random.IntN(4)), idle)
		}
		if random.IntN(8) == 0 {
			time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		}
	}
}

// watchAtRandom subscribes once, in Go or by a stream, to all pages or to one, for a
// while, fast or slowly.
func watchAtRandom(t *testing.T, ctx context.Context, tracker *presence.Tracker, random *rand.Rand) []watched {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(500))*time.Millisecond)
	defer cancel()
	delay := time.Duration(max(0, random.IntN(200)-150)) * time.Millisecond
	page := []string{"", "/0", "/1"}[random.IntN(3)]
	if page == "" && random.IntN(2) == 0 {
		w := watched{}
		online, events, err := tracker.Subscribe(ctx)
		if err != nil {
			return nil
		}
		w.online = online
		for e := range events {
			w.events = append(w.events, e)
			time.Sleep(delay)
		}
		return []watched{w}
	}
	url := "/"
	if page != "" {
		url += "?path=" + page
	}
	p := &pipe{delay: delay}
	<-stream(ctx, tracker, url, p)
	return parseStream(t, page, p.text.String())
}

// parseStream begins anew with each snapshot. What the stream broke off in is no event.
func parseStream(t *testing.T, page, text string) (list []watched) {
	for part := range strings.SplitSeq(text[:max(0, strings.LastIndex(text, "\n\n"))], "\n\n") {
		kind, data, ok := strings.Cut(strings.TrimPrefix(part, "event: "), "\ndata: ")
		switch {
		case !ok: // a heartbeat
		case kind == "online":
			var got struct{ Online []presence.Visitor }
			require.NoError(t, json.Unmarshal([]byte(data), &got))
			list = append(list, watched{page: page, online: got.Online})
		default:
			var e presence.Event
			require.NoError(t, json.Unmarshal([]byte(data), &e))
			require.Equal(t, kind, string(e.Kind))
			w := &list[len(list)-1]
			w.events = append(w.events, e)
		}
	}
	return list
}

func countPages(online []presence.Visitor) (n int) {
	for _, v := range online {
		n += len(v.Pages)
	}
	return n
}

// state is the sum of the hashes of all tabs, by which sets of tabs are compared.
type state uint64

func stateOf(online []presence.Visitor) (s state) {
	for _, v := range online {
		for _, p := range v.Pages {
			s += hash(v.User, p.Path)
		}
	}
	return s
}

func hash(user, path string) state {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %s", user, path)
	return state(h.Sum64())
}

// historyModel is what follows from the events alone.
type historyModel struct {
	events map[string][]string // by page, "" for all; "" where the page does not show it
	states map[string][]state  // by page, before each event
}

var modelPages = []string{"", "/0", "/1"}

// replay fails if the events contradict each other.
func replay(t *testing.T, history []presence.Event) historyModel {
	m := historyModel{events: map[string][]string{}, states: map[string][]state{}}
	tabs := map[string]map[string]int{} // by user and path
	users := map[string]int{}
	now := map[string]state{}
	change := func(e presence.Event, path string, by int) {
		if tabs[e.User] == nil {
			tabs[e.User] = map[string]int{}
		}
		tabs[e.User][path] += by
		users[e.User] += by
		require.GreaterOrEqual(t, tabs[e.User][path], 0, "%v of a tab that is not there", e)
		for _, page := range []string{"", path} {
			now[page] += state(by) * hash(e.User, path)
		}
	}
	for _, e := range history {
		shown := map[string]bool{"": true, e.Path: true}
		for _, page := range modelPages {
			m.states[page] = append(m.states[page], now[page])
		}
		switch e.Kind {
		case presence.Join:
			change(e, e.Path, 1)
		case presence.Leave:
			change(e, e.Path, -1)
		case presence.Move:
			change(e, e.From, -1)
			change(e, e.Path, 1)
			shown[e.From] = true
		default:
			for path, n := range tabs[e.User] {
				shown[path] = n > 0
			}
		}
		require.Equal(t, users[e.User], e.Tabs, "%v", e)
		for _, page := range modelPages {
			text := ""
			if shown[page] {
				text = eventText(e)
			}
			m.events[page] = append(m.events[page], text)
		}
	}
	for _, page := range modelPages {
		m.states[page] = append(m.states[page], now[page])
	}
	return m
}

func eventText(e presence.Event) string {
	return fmt.Sprint(e.Kind, " ", e.User, " ", e.From, " ", e.Path, " ", e.Tabs, " ", e.Time.UnixNano())
}

// agrees reports whether w is what a subscriber gets that begins somewhere in the history.
func (m historyModel) agrees(w watched) bool {
	events, begun := m.events[w.page], stateOf(w.online)
	for i, s := range m.states[w.page] {
		if s != begun {
			continue
		}
		n := 0
		for ; i < len(events) && n < len(w.events); i++ {
			if events[i] == "" {
				continue
			}
			if events[i] != eventText(w.events[n]) {
				break
			}
			n++
		}
		if n == len(w.events) {
			return true
		}
	}
	return false
}
