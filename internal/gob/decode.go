package gob

import (
	stdgob "encoding/gob"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Type numbers that encoding/gob gives to basic types, in every program.
const (
	boolType   = 1
	intType    = 2
	uintType   = 3
	floatType  = 4
	bytesType  = 5
	stringType = 6
	firstType  = 64 // of those that a stream describes
)

// Kinds of types that a stream describes.
const (
	sliceKind      = 2
	structKind     = 3
	mapKind        = 4
	gobEncoderKind = 5
)

// Decode returns what encoding/gob would decode from a session, at a fraction of
// its cost: encoding/gob compiles a decoder for each session. It gives up,
// ok=false, on anything that may not be a session, and where a value is not nil
// and of none of these types: string, bool, integers, floats, []byte, []string
// and time.Time. What it returns shares no memory with data. It may be called
// concurrently.
func Decode(data []byte) (deadline time.Time, values map[string]any, ok bool) {
	r := reader{data: data, build: true}
	return r.readSession()
}

// Check reports whether Decode would decode data, and returns the deadline. It
// reads data to its end, but builds no values. It allocates nothing unless a time
// has a zone of its own. It may be called concurrently.
func Check(data []byte) (deadline time.Time, ok bool) {
	r := reader{data: data}
	deadline, _, ok = r.readSession()
	return deadline, ok
}

// reader reads gob data. Once it has failed, it returns zero values only.
type reader struct {
	data   []byte // what is left
	behind int    // how much of that lies behind the current message
	failed bool
	build  bool // values, rather than read them only
	types
	strings int64 // the number of []string, 0 before its description
}

// types are the numbers that the data gives to types. Each program numbers them in
// the order in which it uses them first.
type types struct{ session, time, values int64 }

// knownTypes are the descriptions of types with which the first session began that
// was read. Most others begin alike.
var knownTypes atomic.Pointer[struct {
	descriptions string
	types
}]

// skipKnownTypes returns what follows the known descriptions of types, and their
// numbers, where data begins with them.
func skipKnownTypes(data []byte) (rest []byte, numbers types, ok bool) {
	known := knownTypes.Load()
	if known == nil || len(data) < len(known.descriptions) || string(data[:len(known.descriptions)]) != known.descriptions {
		return data, types{}, false
	}
	return data[len(known.descriptions):], known.types, true
}

func (r *reader) readSession() (deadline time.Time, values map[string]any, ok bool) {
	r.readTypes()
	r.startMessage()
	r.expectInt(r.session)
	// A struct leaves out fields of value zero.
	field, toValues := r.readUint(), uint64(2)
	if field == 1 {
		deadline = r.readTime()
		field, toValues = r.readUint(), 1
	}
	if field == toValues {
		values = r.readValues()
		field = r.readUint()
	}
	r.endMessage()
	if field != 0 || len(r.data) != 0 || r.failed {
		return time.Time{}, nil, false
	}
	return deadline, values, true
}

// readTypes reads the descriptions of a session's struct, of time.Time and of the
// map.
func (r *reader) readTypes() {
	var isKnown bool
	if r.data, r.types, isKnown = skipKnownTypes(r.data); isKnown {
		return
	}
	data := r.data
	r.startMessage()
	r.session = r.startDescription(structKind)
	r.expect("\x00\x01\x02\x01\x08Deadline\x01")
	r.time = r.readInt()
	r.expect("\x00\x01\x06Values\x01")
	r.values = r.readInt()
	r.expect("\x00\x00\x00")
	r.endMessage()

	r.startMessage()
	if r.startDescription(gobEncoderKind) != r.time || r.time == r.session {
		r.fail()
	}
	r.expect("\x00\x00\x00")
	r.endMessage()

	r.startMessage()
	if r.startDescription(mapKind) != r.values || r.values == r.session || r.values == r.time {
		r.fail()
	}
	r.expect("\x00\x01\x0c\x01\x10\x00\x00") // of string to interface
	r.endMessage()
	if !r.failed {
		knownTypes.CompareAndSwap(nil, &struct {
			descriptions string
			types
		}{string(data[:len(data)-len(r.data)]), r.types})
	}
}

// startDescription reads the beginning of a type's description: the negated
// number, the kind, the name, and the number again, which it returns. The name
// means nothing, and of an unnamed type depends on where the program used it first.
func (r *reader) startDescription(kind uint64) (number int64) {
	number = -r.readInt()
	if number < firstType || number > math.MaxInt32 || r.readUint() != kind {
		r.fail()
	}
	r.expect("\x01")
	toNumber := r.readUint()
	if toNumber == 1 { // there is a name
		r.readBytes()
		toNumber = 1 + r.readUint()
	}
	if toNumber != 2 {
		r.fail()
	}
	r.expectInt(number)
	return number
}

func (r *reader) readValues() map[string]any {
	n := r.readUint()
	if n > uint64(len(r.data)/2) { // a key and a value have a byte each, at least
		r.fail()
		return nil
	}
	var values map[string]any
	if r.build {
		values = make(map[string]any, n)
	}
	for range n {
		key := r.readString()
		if v := r.readValue(); r.build {
			values[key] = v
		}
	}
	return values
}

// readValue reads the value of an interface: the name under which the program
// registered its type, and the value itself. Programs can't use these names for
// types of their own, but for time.Time.
func (r *reader) readValue() any {
	switch string(r.readBytes()) {
	case "":
		return nil
	case "string":
		r.startValue(stringType)
		return r.readString()
	case "bool":
		r.startValue(boolType)
		return r.readUint() != 0
	case "int":
		return readSigned[int](r)
	case "int8":
		return readSigned[int8](r)
	case "int16":
		return readSigned[int16](r)
	case "int32":
		return readSigned[int32](r)
	case "int64":
		return readSigned[int64](r)
	case "uint":
		return readUnsigned[uint](r)
	case "uint8":
		return readUnsigned[uint8](r)
	case "uint16":
		return readUnsigned[uint16](r)
	case "uint32":
		return readUnsigned[uint32](r)
	case "uint64":
		return readUnsigned[uint64](r)
	case "uintptr":
		return readUnsigned[uintptr](r)
	case "float32":
		f := r.readFloat()
		if abs := math.Abs(f); abs > math.MaxFloat32 && !math.IsInf(f, 0) {
			r.fail()
		}
		return toAny(r, float32(f))
	case "float64":
		return toAny(r, r.readFloat())
	case "[]uint8":
		r.startValue(bytesType)
		b := r.readBytes()
		if !r.build {
			return nil
		}
		return slices.Clip(append([]byte(nil), b...)) // nil if empty, as encoding/gob
	case "[]string":
		return r.readStrings()
	case "time.Time":
		if timeIsRegistered() {
			r.startValue(r.time)
			return toAny(r, r.readTime())
		}
	}
	r.fail()
	return nil
}

// startValue reads what stands before an interface's value: the number of its
// type, its length, and a zero where it is no struct.
func (r *reader) startValue(typeNumber int64) {
	r.expectInt(typeNumber)
	r.readUint() // encoding/gob does not look at it either
	r.expect("\x00")
}

func readSigned[T int | int8 | int16 | int32 | int64](r *reader) any {
	r.startValue(intType)
	n := r.readInt()
	if int64(T(n)) != n {
		r.fail()
	}
	return toAny(r, T(n))
}

func readUnsigned[T uint | uint8 | uint16 | uint32 | uint64 | uintptr](r *reader) any {
	r.startValue(uintType)
	n := r.readUint()
	if uint64(T(n)) != n {
		r.fail()
	}
	return toAny(r, T(n))
}

// toAny returns v, or nil where no values are built: an interface takes memory.
func toAny[T any](r *reader, v T) any {
	if !r.build {
		return nil
	}
	return v
}

// readFloat reads a float of any size. Its bytes are in reverse order.
func (r *reader) readFloat() float64 {
	r.startValue(floatType)
	return math.Float64frombits(bits.ReverseBytes64(r.readUint()))
}

func (r *reader) readTime() (t time.Time) {
	if t.UnmarshalBinary(r.readBytes()) != nil {
		r.fail()
	}
	return t
}

// readStrings reads a []string. Before the first stands the type's description,
// which ends the message: what follows is in another.
func (r *reader) readStrings() []string {
	if r.strings == 0 {
		r.strings = r.startDescription(sliceKind)
		if r.strings == r.session || r.strings == r.time || r.strings == r.values {
			r.fail()
		}
		r.expect("\x00\x01\x0c\x00\x00")
		r.endMessage()
		r.startMessage()
	}
	r.startValue(r.strings)
	n := r.readUint()
	if n > uint64(len(r.data)) { // a string has a byte, at least
		r.fail()
	}
	if n == 0 || r.failed {
		return nil // if empty, as encoding/gob
	}
	var s []string
	if r.build {
		s = make([]string, 0, n)
	}
	for range n {
		if element := r.readString(); r.build {
			s = append(s, element)
		}
	}
	return s
}

func (r *reader) fail() { r.data, r.failed = nil, true }

// startMessage reads the length of a message.
func (r *reader) startMessage() {
	n := r.readUint()
	r.behind = len(r.data) - int(n)
}

// endMessage fails where the message does not end. A length that exceeds the data
// has made behind negative, or larger than ever.
func (r *reader) endMessage() {
	if len(r.data) != r.behind {
		r.fail()
	}
}

func (r *reader) readUint() uint64 {
	n, rest, ok := readUint(r.data)
	if !ok {
		r.fail()
	}
	r.data = rest
	return n
}

// readInt reads a signed integer: the lowest bit tells whether the others are
// inverted.
func (r *reader) readInt() int64 {
	n := r.readUint()
	return int64(n>>1) ^ -int64(n&1)
}

// readBytes reads a length and as many bytes. They are part of the data.
func (r *reader) readBytes() []byte {
	n := r.readUint()
	if n > uint64(len(r.data)) {
		r.fail()
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// readString returns "" where no values are built.
func (r *reader) readString() string {
	b := r.readBytes()
	if !r.build {
		return ""
	}
	return string(b)
}

func (r *reader) expect(s string) {
	if len(r.data) < len(s) || string(r.data[:len(s)]) != s {
		r.fail()
		return
	}
	r.data = r.data[len(s):]
}

func (r *reader) expectInt(n int64) {
	if r.readInt() != n {
		r.fail()
	}
}

var timeRegistered atomic.Bool

// timeIsRegistered reports whether encoding/gob decodes what is named time.Time
// as that. The program must have registered it, and may have registered another
// type by this name. A registration lasts.
//
// It must not encode a time to find out: that would give the type its number, and
// this program's sessions other numbers than those of its other instances.
func timeIsRegistered() bool {
	if timeRegistered.Load() {
		return true
	}
	const zeroTime = "\x1b\x10\x00\x09time.Time\x7f\x05\x01\x01\x04Time\x01\xff\x80\x00\x00\x00" +
		"\x14\xff\x80\x11\x00\x0f\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"
	var v any
	_ = stdgob.NewDecoder(strings.NewReader(zeroTime)).Decode(&v)
	_, ok := v.(time.Time)
	if ok {
		timeRegistered.Store(true)
	}
	return ok
}
