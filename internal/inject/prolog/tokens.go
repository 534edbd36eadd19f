package prolog

// next takes the byte at off.
func (s *Scanner) next(c byte) {
	switch s.state {
	case atStart:
		if c == '\xEF' {
			s.start, s.state = s.off, bom1
			return
		}
		s.state = data
		s.next(c)
	case bom1:
		if c != '\xBB' {
			s.other()
		}
		s.state = bom2
	case bom2:
		if c != '\xBF' {
			s.other()
		}
		s.state = data

	case data:
		switch {
		case c == '<':
			s.start, s.state = s.off, tagOpen
		case c == '&':
			s.start, s.state = s.off, ref
		case !isSpace(c): // U+0000 too: the tree builder drops it only once body is open
			s.start = s.off
			s.other()
		}

	case tagOpen:
		s.n = 0
		switch {
		case c == '!':
			s.state = markup
		case c == '?':
			s.state = bogus
		case c == '/':
			s.state = endTagOpen
		case isLetter(c):
			s.endTag, s.state = false, tagName
			s.next(c)
		default:
			s.other()
		}
	case endTagOpen:
		switch {
		case c == '>': // "</>" is no token at all
			s.state = data
		case isLetter(c):
			s.endTag, s.state = true, tagName
			s.next(c)
		default:
			s.state = bogus
		}
	case tagName:
		switch {
		case isSpace(c) || c == '/' || c == '>':
			s.tag()
			if s.verdict == Undecided {
				s.state = beforeAttr
				s.next(c)
			}
		case s.n < 4:
			s.collect(c)
		case s.endTag:
			s.state = longName
		default: // no name that is looked for is as long as this
			s.other()
		}
	case longName:
		if isSpace(c) || c == '/' || c == '>' {
			s.state = beforeAttr
			s.next(c)
		}

	case beforeAttr:
		switch {
		case c == '>':
			s.tagEnd()
		case !isSpace(c) && c != '/': // "=" too begins a name here
			s.state = attrName
		}
	case attrName, afterAttr:
		switch {
		case c == '>':
			s.tagEnd()
		case c == '/':
			s.state = beforeAttr
		case c == '=':
			s.state = beforeValue
		case isSpace(c):
			s.state = afterAttr
		default:
			s.state = attrName
		}
	case beforeValue:
		switch {
		case c == '>':
			s.tagEnd()
		case c == '"':
			s.state = doubleQuoted
		case c == '\'':
			s.state = singleQuoted
		case !isSpace(c):
			s.state = unquoted
		}
	case doubleQuoted:
		if c == '"' {
			s.state = beforeAttr
		}
	case singleQuoted:
		if c == '\'' {
			s.state = beforeAttr
		}
	case unquoted: // "/" is part of the value
		switch {
		case c == '>':
			s.tagEnd()
		case isSpace(c):
			s.state = beforeAttr
		}

	case markup:
		switch {
		case c == '>':
			s.state = data
		case c == '-' && s.n == 0:
			s.state = markupDash
		default:
			s.collect(c)
			if s.n == uint8(len("doctype")) {
				s.document = s.document || string(s.name[:s.n]) == "doctype"
				s.state = bogus
			}
		}
	case markupDash:
		switch c {
		case '>':
			s.state = data
		case '-':
			s.state = commentStart
		default:
			s.state = bogus
		}
	case bogus:
		if c == '>' {
			s.state = data
		}

	case commentStart:
		s.inComment(c, commentStartDash, data)
	case commentStartDash:
		s.inComment(c, commentEnd, data)
	case comment:
		s.inComment(c, commentEndDash, comment)
	case commentEndDash:
		s.inComment(c, commentEnd, comment)
	case commentEnd:
		s.inComment(c, commentEnd, data)
		if c == '!' {
			s.state = commentEndBang
		}
	case commentEndBang:
		s.inComment(c, commentEndDash, data)

	case ref:
		s.n, s.state = 0, refName
		if c == '#' {
			s.state = refNumber
			return
		}
		s.next(c)
	case refName: // the only two names that stand for white space; names keep their case and need the semicolon
		switch {
		case c == ';' && (string(s.name[:s.n]) == "Tab" || string(s.name[:s.n]) == "NewLine"):
			s.state = data
		case isLetter(c) && int(s.n) < len("NewLine"):
			s.name[s.n] = c
			s.n++
		default:
			s.other()
		}
	case refNumber:
		s.state = refDec
		if c == 'x' || c == 'X' {
			s.state = refHex
			return
		}
		s.next(c)
	case refDec, refHex:
		s.number(c)
	}
}

// collect takes a byte of a name that is matched without regard to case.
func (s *Scanner) collect(c byte) {
	s.name[s.n] = c | 0x20 // no other byte becomes a letter by this
	s.n++
}

// tag decides what a tag is good for when its name is complete.
func (s *Scanner) tag() {
	name := string(s.name[:s.n])
	if s.endTag {
		switch name {
		case "head", "body", "html", "br": // the end tags that are not ignored in 13.2.6.4.2 and 13.2.6.4.3
			s.other()
		}
		return
	}
	switch name {
	case "html": // a second one only adds attributes to the first
		s.document = true
	case "head":
		s.document, s.head = true, true
	default:
		s.other()
	}
}

func (s *Scanner) tagEnd() {
	s.state = data
	if s.head {
		s.start, s.verdict = s.off+1, Insert
	}
}

func (s *Scanner) inComment(c byte, dash, angle state) {
	switch c {
	case '-':
		s.state = dash
	case '>':
		s.state = angle
	default:
		s.state = comment
	}
}

// number reads on in a numeric character reference (13.2.5.75 to 13.2.5.80), which needs no semicolon.
func (s *Scanner) number(c byte) {
	digit, base := 16, 10
	if s.state == refHex {
		base = 16
	}
	switch lower := c | 0x20; {
	case '0' <= c && c <= '9':
		digit = int(c - '0')
	case 'a' <= lower && lower <= 'f':
		digit = int(lower-'a') + 10
	}
	n := int(s.n)*base + digit
	switch {
	case digit >= base && !isSpace(s.n): // also when there was no digit: the number is 0 then
		s.other()
	case digit >= base:
		s.state = data
		if c != ';' {
			s.next(c)
		}
	case n > ' ':
		s.other()
	case s.off-s.start >= MaxHeld:
		s.verdict = Leave
	default:
		s.n = uint8(n)
	}
}

// isSpace reports whether the tree builder drops c in front of head. The tokeniser's white space is the same, as its
// input has no U+000D.
func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f'
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
