package gob_test

import (
	"bytes"
	stdgob "encoding/gob"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/stretchr/testify/require"
)

var deadline = time.Unix(1e9, 5).UTC()

// decoded are values that Decode reads by itself.
var decoded = []any{
	nil, "", "x", strings.Repeat("x", 100), strings.Repeat("x", 64<<10), "\xff\x00", false, true,
	0, 1, -1, 63, 64, -64, -65, math.MaxInt, math.MinInt,
	int8(-128), int8(127), int16(-1 << 15), int32(1<<31 - 1), int64(1), int64(math.MinInt64), int64(math.MaxInt64),
	uint(127), uint(128), uint8(255), uint16(1<<16 - 1), uint32(1<<32 - 1), uint64(math.MaxUint64), uintptr(7),
	float32(0), float32(1.5), float32(-math.MaxFloat32), float32(math.Inf(-1)), float32(math.NaN()),
	0.0, math.Copysign(0, -1), 1.5, -17.0, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN(),
	[]byte(nil), []byte{}, []byte("x"), make([]byte, 1000),
	[]string(nil), []string{}, []string{""}, []string{"a", "", "bc"},
	time.Time{}, deadline, time.Now(), time.Unix(-1<<40, 0),
	deadline.In(time.FixedZone("", 3600)), deadline.In(time.FixedZone("", 3601)),
}

type (
	record  struct{ Name string }
	role    string
	strange struct{ time.Time }
)

// left are values that Decode leaves to encoding/gob.
var left = []any{
	1i, complex64(1i), []int{1}, []bool{true}, []uint16{1}, []any{"x"}, [2]string{}, map[string]any{"a": map[string]any{"b": 1}},
	record{"x"}, []record{{"x"}}, role("x"), strange{deadline},
}

func register() {
	stdgob.Register(time.Time{})
	for _, v := range left {
		if reflect.TypeOf(v) != reflect.TypeFor[role]() {
			stdgob.Register(v)
		}
	}
	stdgob.RegisterName("role", role(""))
}

func encode(t testing.TB, deadline time.Time, values map[string]any) []byte {
	data, err := scs.GobCodec{}.Encode(deadline, values)
	require.NoError(t, err)
	return data
}

// requireSame requires that Decode returns what encoding/gob does, or nothing, and
// that Check foretells it.
func requireSame(t testing.TB, data []byte) (ok bool) {
	t.Helper()
	deadline, values, ok := gob.Decode(data)
	checked, checkOK := gob.Check(data)
	require.Equal(t, ok, checkOK, "%q", data)
	require.Equal(t, deadline, checked)
	if !ok {
		require.Zero(t, deadline)
		require.Nil(t, values)
		return false
	}
	wantDeadline, wantValues, err := scs.GobCodec{}.Decode(data)
	require.NoError(t, err, "%q", data)
	if !reflect.DeepEqual(wantDeadline, deadline) || !reflect.DeepEqual(floatsAsBits(wantValues), floatsAsBits(values)) {
		require.FailNow(t, "not the same", "%#v %#v\n%#v %#v\n%q", wantDeadline, wantValues, deadline, values, data)
	}
	return true
}

// floatsAsBits makes floats comparable: NaN does not equal itself.
func floatsAsBits(values map[string]any) map[string]any {
	for key, v := range values {
		switch f := v.(type) {
		case float32:
			values[key] = fmt.Sprint("float32 ", math.Float32bits(f))
		case float64:
			values[key] = fmt.Sprint("float64 ", math.Float64bits(f))
		}
	}
	return values
}

func TestDecode(t *testing.T) {
	register()
	all := make(map[string]any)
	for i, v := range decoded {
		all[strconv.Itoa(i)] = v
		require.True(t, requireSame(t, encode(t, deadline, map[string]any{"v": v})), "%T %v", v, v)
	}
	require.True(t, requireSame(t, encode(t, deadline, all)))
	for _, v := range left {
		require.False(t, requireSame(t, encode(t, deadline, map[string]any{"v": v})), "%T", v)
		mixed := maps.Clone(all)
		mixed["v"] = v
		require.False(t, requireSame(t, encode(t, deadline, mixed)), "%T", v)
	}
	for _, values := range []map[string]any{nil, {}, {"": ""}} {
		for _, deadline := range []time.Time{{}, deadline, time.Now(), time.Unix(-1, 1), time.Now().In(time.FixedZone("", 3601))} {
			require.True(t, requireSame(t, encode(t, deadline, values)), "%v %v", deadline, values)
		}
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	register()
	values := make(map[string]any)
	for i, v := range decoded {
		if at, ok := v.(time.Time); !ok || at.Location() == time.UTC {
			values[strconv.Itoa(i)] = v
		}
	}
	data := encode(t, deadline, values)
	require.Zero(t, testing.AllocsPerRun(10, func() { _, _ = gob.Check(data) }))
}

func TestDecodeCopies(t *testing.T) {
	values := map[string]any{"key": "value", "bytes": []byte("bytes"), "strings": []string{"string"}}
	data := encode(t, deadline, values)
	_, got, ok := gob.Decode(data)
	require.True(t, ok)
	clear(data)
	require.Equal(t, values, got)
	require.Equal(t, len("bytes"), cap(got["bytes"].([]byte)), "appending to it twice must make two slices")
}

// The parts of a session as scs.GobCodec writes it, in a program that uses no types
// before it.
const (
	structType = "%\x7f\x03\x01\x02\xff\x80\x00\x01\x02\x01\x08Deadline\x01\xff\x82\x00\x01\x06Values\x01\xff\x84\x00\x00\x00"
	timeType   = "\x10\xff\x81\x05\x01\x01\x04Time\x01\xff\x82\x00\x00\x00"
	mapType    = "'\xff\x83\x04\x01\x01\x17map[string]interface {}\x01\xff\x84\x00\x01\x0c\x01\x10\x00\x00"
	types      = structType + timeType + mapType
	number     = "\xff\x80"
	aDeadline  = "\x01\x0f\x01\x00\x00\x00\x0e\xb3,\xc1\x00\x00\x00\x00\x05\xff\xff"
	toValues   = "\x01"
	end        = "\x00"
	aSlice     = "\x01k\x08[]string"
	sliceType  = "\xff\x85\x02\x01\x02\xff\x86\x00\x01\x0c\x00\x00"
	huge       = "\xfb\x01\x00\x00\x00\x00"
	large      = "\xfd\x10\x00\x00"
)

// message returns a message of up to 127 bytes.
func message(parts ...string) string {
	s := strings.Join(parts, "")
	return string(rune(len(s))) + s
}

// session returns a session of values, the first of which is their number.
func session(values ...string) string {
	return types + message(number, aDeadline, toValues, strings.Join(values, ""), end)
}

// slice returns a session of one slice. The description of its type ends a message.
func slice(description string, rest ...string) string {
	return types + message(number, aDeadline, toValues, "\x01", aSlice, description) + message(rest...)
}

var odd = []struct {
	name string
	data string
	ok   bool // encoding/gob does not mind
}{
	{name: "not odd", data: session("\x01", "\x01k\x06string\x0c\x03\x00\x01x"), ok: true},
	{name: "no deadline", data: types + message(number, "\x02\x00", end), ok: true},
	{name: "same key twice", data: session("\x02", "\x01k\x03int\x04\x02\x00\x02", "\x01k\x00"), ok: true},
	{name: "number in a longer form", data: session("\xff\x01", "\xfe\x00\x01k\x00"), ok: true},
	{name: "true as 2", data: session("\x01", "\x01k\x04bool\x02\x02\x00\x02"), ok: true},
	{name: "wrong length of a value", data: session("\x01", "\x01k\x06string\x0c\x63\x00\x01x"), ok: true},
	{name: "slice", data: slice(sliceType, "\xff\x86\x04\x00\x01\x01x", end), ok: true},
	{name: "slice of a wrong length", data: slice(sliceType, "\xff\x86\x63\x00\x01\x01x", end), ok: true},

	{name: "nothing"},
	{name: "types only", data: types},
	{name: "empty message", data: types + "\x00"},
	{name: "no end", data: types + message(number, aDeadline)},
	{name: "bytes behind the end", data: types + message(number, aDeadline, end, "\x00")},
	{name: "message behind the end", data: session("\x00") + message(number, end)},
	{name: "type behind the end", data: session("\x00") + timeType},
	{name: "unknown field", data: types + message(number, "\x03\x00", end)},
	{name: "unknown field behind Deadline", data: types + message(number, aDeadline, "\x02\x00", end)},
	{name: "negative field", data: types + message(number, aDeadline, "\xf8\xff\xff\xff\xff\xff\xff\xff\xff")},
	{name: "number of nine bytes", data: session("\xf7\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\x01k\x00")},
	{name: "other number", data: types + message("\xff\x82", aDeadline, end)},
	{name: "same number twice in 32 bits", data: message("\xfb\x02\x00\x00\x00\x81\x03\x01\x02\xfb\x02\x00\x00\x00\x82", strings.TrimPrefix(structType, "%\x7f\x03\x01\x02\xff\x80")) +
		timeType + mapType + message("\xfb\x02\x00\x00\x00\x82", end)},
	{name: "same number twice", data: strings.NewReplacer("\xff\x82", "\xff\x80", "\xff\x81", "\xff\x7f").Replace(types) + message(number, end)},
	{name: "same number twice, the map", data: strings.NewReplacer("\xff\x84", "\xff\x82", "\xff\x83", "\xff\x81").Replace(types) + message(number, end)},
	{name: "same number twice, the struct and the map", data: strings.NewReplacer("\xff\x84", "\xff\x80", "\xff\x83", "\xff\x7f").Replace(types) + message(number, end)},
	{name: "number of a basic type", data: strings.NewReplacer("\xff\x84", "\xff\x3e", "\xff\x83", "\xff\x3d").Replace(types) + message(number, end)},
	{name: "no time", data: structType + mapType + message(number, end)},
	{name: "time without version", data: types + message(number, strings.Replace(aDeadline, "\x0f\x01", "\x0f\x03", 1), end)},

	{name: "fewer values", data: session("\x02", "\x01k\x00")},
	{name: "more values", data: session("\x01", "\x01k\x00\x01l\x00")},
	{name: "name of no type", data: session("\x01", "\x01k\x05thing\x0c\x03\x00\x01x")},
	{name: "int as string", data: session("\x01", "\x01k\x06string\x04\x02\x00\x02")},
	{name: "uint as int", data: session("\x01", "\x01k\x03int\x06\x02\x00\x02")},
	{name: "bytes as time", data: session("\x01", "\x01k\x09time.Time\x0a\x03\x00\x01x")},
	{name: "bad time", data: session("\x01", "\x01k\x09time.Time\xff\x82\x03\x00\x01x")},
	{name: "no zero before a value", data: session("\x01", "\x01k\x06string\x0c\x03\x01\x01x")},
	{name: "int8 out of range", data: session("\x01", "\x01k\x04int8\x04\x03\x00\xfe\x01\x00")},
	{name: "uint8 out of range", data: session("\x01", "\x01k\x05uint8\x06\x03\x00\xfe\x01\x00")},
	{name: "float32 out of range", data: session("\x01", "\x01k\x07float32\x08\x0a\x00\xf8\x00\x00\x00\x00\x00\x00\xf0\x7e")},
	{name: "undescribed slice", data: session("\x01", aSlice, "\xff\x86\x04\x00\x01\x01x")},
	{name: "slice described twice", data: slice(sliceType, sliceType) + message("\xff\x86\x04\x00\x01\x01x", end)},
	{name: "slice described again", data: slice(sliceType, "\xff\x86\x04\x00\x01\x01x", aSlice, sliceType) + message("\xff\x86\x04\x00\x01\x01x", end)},
	{name: "slice and its description in one message", data: session("\x01", aSlice, sliceType, "\x08", "\xff\x86\x04\x00\x01\x01x")},
	{name: "slice described at the end", data: types + message(number, aDeadline, toValues, "\x01", aSlice, sliceType)},
	{name: "slice with the number of time.Time", data: slice(strings.NewReplacer("\x85", "\x81", "\x86", "\x82").Replace(sliceType), "\xff\x82\x04\x00\x01\x01x", end)},
	{name: "slice of ints", data: slice(strings.Replace(sliceType, "\x0c", "\x04", 1), "\xff\x86\x04\x00\x01\x02", end)},
	{name: "string over two messages", data: types + message(number, aDeadline, toValues, "\x01", "\x01k\x06string\x0c\x04\x00\x02x") + message(end)},

	{name: "huge message", data: types + huge},
	{name: "huge description", data: huge + types},
	{name: "huge map", data: session(huge)},
	{name: "large map", data: session(large, "\x01k\x00")},
	{name: "huge key", data: session("\x01", huge)},
	{name: "huge name", data: session("\x01", "\x01k", huge)},
	{name: "huge string", data: session("\x01", "\x01k\x06string\x0c\x03\x00", huge)},
	{name: "large bytes", data: session("\x01", "\x01k\x07[]uint8\x0a\x03\x00", large)},
	{name: "large slice", data: slice(sliceType, "\xff\x86\x04\x00", large, "\x01x", end)},
	{name: "huge string in a slice", data: slice(sliceType, "\xff\x86\x04\x00\x01", huge, end)},
}

func TestDecodeOdd(t *testing.T) {
	register()
	for _, tt := range odd {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, ok := gob.Decode([]byte(tt.data))
			runtime.ReadMemStats(&after)
			require.Equal(t, tt.ok, ok)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<10), "of a length that the data can't have")
			requireSame(t, []byte(tt.data))
		})
	}
}

// No part of a session is one, and no session is another by chance.
func TestDecodeRandom(t *testing.T) {
	register()
	rnd := rand.New(rand.NewPCG(1, 2))
	mutated := 0
	for range 300 {
		values := make(map[string]any)
		for range rnd.IntN(12) {
			values[strconv.Itoa(rnd.IntN(1000))] = decoded[rnd.IntN(len(decoded))]
		}
		data := encode(t, deadline, values)
		require.True(t, requireSame(t, data))
		if len(data) > 4<<10 {
			continue
		}
		for n := range data {
			require.False(t, requireSame(t, data[:n]))
		}
		for range 50 {
			b := slices.Clone(data)
			at := rnd.IntN(len(b))
			switch rnd.IntN(4) {
			case 0:
				b[at] ^= 1 << rnd.IntN(8)
			case 1:
				b[at] = byte(rnd.IntN(256))
			case 2:
				b = slices.Insert(b, at, byte(rnd.IntN(256)))
			case 3:
				b = slices.Delete(b, at, min(at+1+rnd.IntN(9), len(b)))
			}
			if requireSame(t, b) {
				mutated++
			}
		}
	}
	require.NotZero(t, mutated, "Decode reads none of the changed sessions")
}

func FuzzDecode(f *testing.F) {
	register()
	for _, v := range slices.Concat(decoded, left) {
		f.Add(encode(f, deadline, map[string]any{"v": v, "w": []string{"x"}, "x": deadline}))
	}
	for _, tt := range odd {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) { requireSame(t, data) })
}

// programs differ in what they do with encoding/gob before their first session.
var programs = []struct {
	name    string
	prepare func()
	times   bool // Decode reads them
	others  bool // its type numbers
}{
	{name: "none", prepare: func() {}},
	{name: "registers time.Time", prepare: func() { stdgob.Register(time.Time{}) }, times: true},
	{name: "uses the types in another order", times: true, others: true, prepare: func() {
		use(map[string]any{})
		use([]string{})
		use(time.Time{})
		stdgob.Register(time.Time{})
	}},
	{name: "uses 100 types", times: true, others: true, prepare: func() {
		for n := range 100 {
			use(reflect.New(reflect.ArrayOf(n, reflect.TypeFor[string]())).Interface())
		}
		stdgob.Register(time.Time{})
	}},
	{name: "uses slices and maps in a struct", others: true, prepare: func() {
		use(struct {
			Slice []string
			Map   map[string]any
		}{[]string{}, nil})
	}},
	{name: "registers time.Time by another name", prepare: func() { stdgob.RegisterName("t", time.Time{}) }},
	{name: "registers a pointer as time.Time", prepare: func() { stdgob.RegisterName("time.Time", &time.Time{}) }},
	{name: "registers another type as time.Time", prepare: func() { stdgob.RegisterName("time.Time", strange{}) }},
}

func use(v any) {
	if err := stdgob.NewEncoder(new(bytes.Buffer)).Encode(v); err != nil {
		panic(err)
	}
}

// Programs read each other's sessions, whatever types they use and register.
func TestDecodeInOtherPrograms(t *testing.T) {
	for _, tt := range programs {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "session")
			cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestProgram$/^"+strings.ReplaceAll(tt.name, " ", "_")+"$")
			cmd.Env = append(os.Environ(), sessionFile+"="+file)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			data, err := os.ReadFile(file)
			require.NoError(t, err, "%s", out)
			require.Equal(t, tt.others, !bytes.HasPrefix(data, []byte(types)))
			require.True(t, requireSame(t, data))
		})
	}
}

// sessionFile is the environment variable by which TestProgram is told where to
// write a session.
const sessionFile = "GOB_SESSION_FILE"

// TestProgram is the process of one of programs.
func TestProgram(t *testing.T) {
	file := os.Getenv(sessionFile)
	if file == "" {
		t.Skip("is run by TestDecodeInOtherPrograms")
	}
	withTime := []byte(session("\x01", "\x01k\x09time.Time\xff\x82\x11\x00", aDeadline[1:]))
	for _, tt := range programs {
		t.Run(tt.name, func(t *testing.T) {
			require.False(t, requireSame(t, withTime), "it is not registered yet")
			tt.prepare()
			require.Equal(t, tt.times, requireSame(t, withTime))
			require.Equal(t, tt.times, requireSame(t, withTime), "and again")
			// To decode gives no numbers to types, or instances of one program would differ.
			data := encode(t, deadline, map[string]any{"a": "x", "b": []string{"y"}})
			require.True(t, requireSame(t, data))
			require.NoError(t, os.WriteFile(file, data, 0o600))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	data := encode(b, deadline, map[string]any{
		"user": "6f1ed002ab5595859014ebf0951522d9", "name": "Ann Example", "csrf": strings.Repeat("x", 43), "visits": 17, "admin": true,
	})
	for name, decode := range map[string]func(){
		"Decode":       func() { _, _, _ = gob.Decode(data) },
		"Check":        func() { _, _ = gob.Check(data) },
		"encoding/gob": func() { _, _, _ = scs.GobCodec{}.Decode(data) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decode()
			}
		})
	}
}
