//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// config is of a whole run; see the flags.
type config struct {
	Protocol      string
	Pages, Share  int
	Pairs, Rounds int
	Compress      float64
	Down, Idle    time.Duration
}

// connectionsOfPair is how many connections fit into one process's descriptors.
const connectionsOfPair = 17_000

// report is what a run has measured.
type report struct {
	phases      [phases]PhaseCounts // of all clients
	alive       int64
	memory      int64         // of the servers, for all pages
	cpu, redis  time.Duration // of the servers and of Redis, before the restart
	took        time.Duration // the phase before the restart
	connections int64
}

// pair is a server and the client of its pages.
type pair struct {
	server, client *child
	cfg            ServerConfig
}

// loadRun is a run under way.
type loadRun struct {
	cfg   config
	pairs []*pair
}

func load(cfg config) (r *report, err error) {
	socket, stop, err := startRedis()
	if err != nil {
		return nil, err
	}
	defer stop()
	certificate, key, err := newCertificate()
	if err != nil {
		return nil, err
	}
	l := &loadRun{cfg: cfg}
	defer l.end()
	connections := (cfg.Pages + cfg.Share - 1) / cfg.Share
	n := max(cfg.Pairs, (connections+connectionsOfPair-1)/connectionsOfPair)
	for i := range n {
		l.pairs = append(l.pairs, &pair{cfg: ServerConfig{
			// No connection comes from this address, and could take the port while the server is down.
			Addr: fmt.Sprintf("127.0.2.%d:0", i+1), Protocol: cfg.Protocol, Redis: socket, Idle: cfg.Idle, Certificate: certificate, Key: key,
		}})
	}
	if err := l.each((*pair).startServer); err != nil {
		return nil, err
	}
	empty, err := sum[int64](l.servers(), "Memory")
	if err != nil {
		return nil, err
	}
	if err := l.open(certificate); err != nil {
		return nil, err
	}
	full, err := sum[int64](l.servers(), "Memory")
	if err != nil {
		return nil, err
	}
	r = &report{memory: full - empty}
	if err := l.measure(r, socket); err != nil {
		return nil, err
	}
	if err := l.restart(); err != nil {
		return nil, err
	}
	if err := l.wait(after, cfg.Rounds); err != nil {
		return nil, err
	}
	if r.alive, err = sum[int64](l.clients(), "Alive"); err != nil {
		return nil, err
	}
	for phase := range r.phases {
		if r.phases[phase], err = l.counts(phase); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (p *pair) startServer() (err error) {
	if p.server, err = startChild("server"); err != nil {
		return err
	}
	return p.server.call("Start", p.cfg, &p.cfg.Addr)
}

func (p *pair) stopServer() error {
	defer p.server.end()
	return p.server.call("Stop", Nothing{}, &Nothing{})
}

// open starts the clients; each has an address of its own, for the ports.
func (l *loadRun) open(certificate []byte) error {
	var err error
	for i, p := range l.pairs {
		if p.client, err = startChild("client"); err != nil {
			return err
		}
		pages := l.cfg.Pages*(i+1)/len(l.pairs) - l.cfg.Pages*i/len(l.pairs)
		cfg := ClientConfig{
			Addr: p.cfg.Addr, Source: fmt.Sprintf("127.0.1.%d", i+1), Protocol: l.cfg.Protocol,
			Pages: pages, Share: l.cfg.Share, Compress: l.cfg.Compress, Certificate: certificate,
		}
		if err := p.client.call("Open", cfg, &Nothing{}); err != nil {
			return err
		}
	}
	return nil
}

// measure has each page ping, and notes what that costs.
func (l *loadRun) measure(r *report, socket string) error {
	cpu, err := sum[time.Duration](l.servers(), "CPU")
	if err != nil {
		return err
	}
	redis, err := redisCPU(socket)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := l.wait(before, l.cfg.Rounds); err != nil {
		return err
	}
	r.took = time.Since(start)
	if r.cpu, err = sum[time.Duration](l.servers(), "CPU"); err != nil {
		return err
	}
	if r.redis, err = redisCPU(socket); err != nil {
		return err
	}
	r.cpu, r.redis = r.cpu-cpu, r.redis-redis
	n, err := l.counts(before)
	r.connections = n.Dials
	return err
}

func (l *loadRun) restart() error {
	if err := l.begin(down); err != nil {
		return err
	}
	if err := l.each((*pair).stopServer); err != nil {
		return err
	}
	time.Sleep(l.cfg.Down)
	if err := l.each((*pair).startServer); err != nil {
		return err
	}
	return l.wait(back, 1)
}

// wait begins a phase, and returns when each page has been answered that often in it.
func (l *loadRun) wait(phase, rounds int) error {
	if err := l.begin(phase); err != nil {
		return err
	}
	for {
		n, err := l.counts(phase)
		if err != nil || n.Rounds >= rounds {
			return err
		}
		if n.Ended > 0 {
			return fmt.Errorf("%d sessions have ended", n.Ended)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *loadRun) begin(phase int) error {
	for _, p := range l.pairs {
		if err := p.client.call("Phase", int32(phase), &Nothing{}); err != nil {
			return err
		}
	}
	return nil
}

// counts adds up what the clients have counted in a phase.
func (l *loadRun) counts(phase int) (all PhaseCounts, err error) {
	times := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	for i, p := range l.pairs {
		var n PhaseCounts
		if err := p.client.call("Counts", int32(phase), &n); err != nil {
			return all, err
		}
		times.Merge(hdrhistogram.Import(n.Times))
		if i == 0 {
			all = n
			continue
		}
		all.Pings, all.Errors, all.Ended, all.Dials = all.Pings+n.Pings, all.Errors+n.Errors, all.Ended+n.Ended, all.Dials+n.Dials
		all.Rounds = min(all.Rounds, n.Rounds)
		if all.FirstError == "" {
			all.FirstError = n.FirstError
		}
	}
	all.Times = times.Export()
	return all, nil
}

// each calls do for all pairs at once.
func (l *loadRun) each(do func(*pair) error) error {
	errs := make([]error, len(l.pairs))
	var wg sync.WaitGroup
	for i, p := range l.pairs {
		wg.Go(func() { errs[i] = do(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (l *loadRun) servers() (all []*child) {
	for _, p := range l.pairs {
		all = append(all, p.server)
	}
	return all
}

func (l *loadRun) clients() (all []*child) {
	for _, p := range l.pairs {
		all = append(all, p.client)
	}
	return all
}

func (l *loadRun) end() {
	for _, c := range append(l.clients(), l.servers()...) {
		if c != nil {
			c.end()
		}
	}
}

// sum adds up what a method of all the processes answers.
func sum[T int64 | time.Duration](all []*child, method string) (total T, err error) {
	for _, c := range all {
		var n T
		if err := c.call(method, Nothing{}, &n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

var usedCPU = regexp.MustCompile(`(?m)^used_cpu_(?:sys|user):([0-9.]+)`)

// redisCPU returns the time that Redis has used.
func redisCPU(socket string) (used time.Duration, err error) {
	client := newRedis(socket)
	defer client.Close()
	info, err := client.Info(ctx, "cpu").Result()
	for _, m := range usedCPU.FindAllStringSubmatch(info, -1) {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		used += time.Duration(seconds * float64(time.Second))
	}
	return used, err
}

// check returns an error if the counts are not what they should be.
func (r *report) check(cfg config) error {
	var errs []error
	for _, phase := range []int{opening, before, after} {
		if n := r.phases[phase]; n.Errors > 0 {
			errs = append(errs, fmt.Errorf("%d pings failed in phase %d, the first one: %s", n.Errors, phase, n.FirstError))
		}
	}
	if dead := int64(cfg.Pages) - r.alive; dead != 0 {
		errs = append(errs, fmt.Errorf("%d of %d sessions have ended", dead, cfg.Pages))
	}
	return errors.Join(errs...)
}

// print writes a line as of a benchmark. Its time is the servers' for a ping.
func (r *report) print(w io.Writer, cfg config) {
	n := r.phases[before]
	fmt.Fprintf(w, "BenchmarkLoad/%s/%d %d %.0f ns/op %.0f redis-ns/op %.0f pings/s/core %.0f pings/s %.0f B/page %d connections %g compress",
		cfg.Protocol, cfg.Pages, n.Pings, float64(r.cpu)/float64(n.Pings), float64(r.redis)/float64(n.Pings),
		float64(n.Pings)/r.cpu.Seconds(), float64(n.Pings)/r.took.Seconds(), float64(r.memory)/float64(cfg.Pages), r.connections, cfg.Compress)
	for phase, name := range map[int]string{before: "before", back: "back"} {
		times := hdrhistogram.Import(r.phases[phase].Times)
		for _, q := range []float64{50, 99, 99.9} {
			fmt.Fprintf(w, " %d %s-p%v-us", times.ValueAtQuantile(q), name, q)
		}
	}
	fmt.Fprintf(w, " %d failed-pings %d lost-sessions\n", r.phases[down].Errors+r.phases[back].Errors, int64(cfg.Pages)-r.alive)
}
