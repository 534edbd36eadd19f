// Package prolog finds the place in an HTML document at which a script element becomes the first one in head, while the
// document is written. It reads no further than that place: a page of any size costs only its first bytes.
//
// It follows the states of the HTML tokeniser (https://html.spec.whatwg.org/multipage/parsing.html, section 13.2.5) and
// the insertion modes "initial", "before html" and "before head" (13.2.6.4.1 to 13.2.6.4.3), as far as these decide where
// head begins. With the script put in at [Scanner.Offset], the document's tree is the old one plus that script. A
// document for which this can't be promised, and a fragment (no doctype, html or head tag before the first other
// token), is left alone.
//
// The bytes are taken to be in an encoding that keeps ASCII, as all the encodings of the web do but UTF-16 and ISO-2022-JP.
package prolog

import "bytes"

// Verdict is what is known about a document so far.
type Verdict uint8

const (
	Undecided Verdict = iota // the prolog goes on
	Insert                   // the tag goes in at Offset
	Leave                    // the document stays as it is
)

// MaxHeld is the most bytes that can follow [Scanner.Safe] without a verdict. A character reference that is longer (it
// may have any number of leading zeros) makes the verdict Leave.
const MaxHeld = 16

// Scanner reads the beginning of one document. Its zero value is ready. It keeps none of the bytes it is given, and it
// must not be used concurrently.
type Scanner struct {
	off      int64 // bytes read
	start    int64 // where the token begins that may turn out to be the first other one; after Insert the insertion point
	state    state
	verdict  Verdict
	document bool // a doctype, html or head tag was seen
	head     bool // the tag being read is <head …>
	endTag   bool // the tag being read is an end tag
	n        uint8
	name     [len("doctype")]byte // the first n bytes of a name; in a numeric character reference n is the number itself
}

type state uint8

const (
	atStart state = iota // where a byte order mark may stand (13.2.3.2); nowhere else is it skipped
	data

	markup     // after "<!"
	markupDash // after "<!-"
	bogus      // bogus comment or doctype: both end at the first ">" in all of their states

	commentStart // the comment states carry their names from the standard
	commentStartDash
	comment
	commentEndDash
	commentEnd
	commentEndBang

	beforeAttr // also self-closing start tag and after attribute value (quoted), which differ in errors only
	attrName
	afterAttr
	beforeValue
	doubleQuoted
	singleQuoted
	unquoted
	longName // the rest of an end tag's name

	// Here and below the bytes from start on are held.
	bom1
	bom2
	tagOpen
	endTagOpen
	tagName
	ref
	refName
	refNumber
	refDec
	refHex
)

// Scan reads the next bytes of the document and returns the verdict, which is final once it is not [Undecided].
func (s *Scanner) Scan(p []byte) Verdict {
	if s.off == 0 {
		if at := commonHead(p); at > 0 {
			s.off, s.start, s.verdict = int64(at), int64(at), Insert
		}
	}
	for len(p) > 0 && s.verdict == Undecided {
		skip := 0
		switch s.state {
		case comment:
			skip = bytes.IndexByte(p, '-')
		case bogus:
			skip = bytes.IndexByte(p, '>')
		}
		if skip < 0 {
			s.off += int64(len(p))
			break
		}
		s.off += int64(skip)
		s.next(p[skip])
		s.off++
		p = p[skip+1:]
	}
	return s.verdict
}

// Close tells the scanner that the document ends here and returns the verdict, which is never [Undecided].
func (s *Scanner) Close() Verdict {
	if s.verdict != Undecided {
		return s.verdict
	}
	switch s.state {
	case atStart, data:
		s.start = s.off
		s.other()
	case refDec, refHex:
		if isSpace(s.n) {
			s.start = s.off
		}
		s.other()
	case bom1, bom2, tagOpen, endTagOpen, ref, refName, refNumber:
		s.other() // text, cut short
	default:
		s.verdict = Leave // what is added to an open comment, doctype or tag becomes part of it
	}
	return s.verdict
}

// Offset returns, after [Insert], how many bytes of the document precede the insertion point.
func (s *Scanner) Offset() int64 { return s.start }

// Safe returns, while [Undecided], how many bytes of the document precede every place that may still become the
// insertion point. These can be sent. At most [MaxHeld] bytes were read beyond them.
func (s *Scanner) Safe() int64 {
	if s.state >= bom1 || s.verdict == Insert {
		return s.start
	}
	return s.off
}

// other takes the token at start for the first one that opens head (and perhaps body) by being there.
func (s *Scanner) other() {
	s.verdict = Leave
	if s.document {
		s.verdict = Insert
	}
}
