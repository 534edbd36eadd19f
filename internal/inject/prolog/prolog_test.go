package prolog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

// scan gives doc to a new Scanner in pieces that end at cuts, and checks Safe and
// the verdict on the way.
func scan(t *testing.T, doc []byte, cuts ...int) (prolog.Verdict, int64) {
	t.Helper()
	var s prolog.Scanner
	var safe int64
	from := 0
	for _, to := range append(cuts, len(doc)) {
		piece := bytes.Clone(doc[from:to])
		verdict := s.Scan(piece)
		clear(piece) // a Scanner must not keep it
		from = to
		if verdict != prolog.Undecided {
			continue
		}
		require.GreaterOrEqual(t, s.Safe(), safe, "Safe went back: %q cut at %v", doc, cuts)
		safe = s.Safe()
		require.LessOrEqual(t, safe, int64(to), "Safe is past the bytes read: %q cut at %v", doc, cuts)
		require.LessOrEqual(t, int64(to)-safe, int64(prolog.MaxHeld), "too much is held: %q cut at %v", doc, cuts)
	}
	verdict := s.Close()
	require.NotEqual(t, prolog.Undecided, verdict, "%q", doc)
	require.Equal(t, verdict, s.Scan([]byte("<head>")), "the verdict changed: %q", doc)
	require.Equal(t, verdict, s.Close(), "the verdict changed: %q", doc)
	if verdict != prolog.Insert {
		return verdict, -1
	}
	require.LessOrEqual(t, safe, s.Offset(), "Safe passed the insertion point: %q cut at %v", doc, cuts)
	return verdict, s.Offset()
}

// In the tables ^ marks the insertion point. A document without it gets nothing.
func TestScanner(t *testing.T) {
	zeros := strings.Repeat("0", 40)
	tests := []struct{ name, doc string }{
		{"head", "<!DOCTYPE html><html><head>^<title>x</title></head></html>"},
		{"head alone", "<head>^"},
		{"head in capitals", "<HEAD>^"},
		{"head with attributes", `<head profile="a>b" x>^`},
		{"head self-closing", "<head/>^<p>"},
		{"head with solidus and attribute", "<head/x=y />^<p>"},
		{"second head", "<head>^<head>"},
		{"head after html", "<html lang=en>\r\n\t<head>^\n<meta>"},
		{"header is another tag", "<!doctype html>^<header>"},
		{"header, no head follows", "<html>^<header><head>"},
		{"head- is another tag", "<html>^<head->"},
		{"head and NUL is another tag", "<html>^<head\x00>"},
		{"head and vertical tab is another tag", "<html>^<head\v>"},
		{"hea is another tag", "<html>^<hea>"},
		{"htmlx is another tag", "<!doctype html>^<htmlx><head>"},
		{"htm is another tag", "<!doctype html>^<htm>"},
		{"space in front of a name is text", "<html>^< head>"},
		{"head, form feed in the tag", "<head\f>^"},
		{"head, carriage return in the tag", "<head\r>^"},

		{"no head, another tag", "<!doctype html>\n^<p>x"},
		{"no head, an unfinished tag whose name is known", "<!doctype html>^<p class='"},
		{"no head, a tag name that can't become head", "<!doctype html>^<style"},
		{"body", "<html>^<body>"},
		{"frameset", "<html>^<frameset>"},
		{"script", "<html>^<script></script>"},
		{"text", "<!doctype html> ^x"},
		{"text that looks like a byte order mark", "<!doctype html>^\xEF\xBB\xBF<head>"},
		{"NUL", "<!doctype html>^\x00<head>"},
		{"vertical tab is text", "<!doctype html>^\v<head>"},
		{"no-break space is text", "<!doctype html>^\u00A0<head>"},
		{"other start of text", "<!doctype html>^<1>"},
		{"two angles", "<!doctype html>^<<head>"},

		{"doctype alone", "<!DOCTYPE html>^"},
		{"doctype, white space at the end", "<!doctype html>\n ^"},
		{"doctype without a space", "<!doctypehtml>^"},
		{"doctype without a name", "<!DOCTYPE>^"},
		{"doctype, end in quotes", `<!doctype html public "a>^b">`},
		{"doctype twice", "<!doctype html><!doctype x><html><head>^"},
		{"doctype after html", "<html><!doctype html><head>^"},
		{"doctype after an end tag", "</p><!doctype html>^<p>"},
		{"doctyp is a comment", "<!doctyp html><p>"},
		{"doctype cut short by its end", "<!doctyp><p>"},
		{"doctype with a space in front", "<! doctype html><p>"},
		{"doctype with NUL", "<!doc\x00ype html><p>"},

		{"byte order mark", "\xEF\xBB\xBF<!doctype html>^<p>"},
		{"byte order mark, then head", "\xEF\xBB\xBF<head>^"},
		{"byte order mark twice", "\xEF\xBB\xBF\xEF\xBB\xBF<head>"},
		{"byte order mark after a space", " \xEF\xBB\xBF<head>"},
		{"half a byte order mark", "\xEF\xBB<head>"},
		{"a third of a byte order mark", "\xEF<head>"},
		{"byte order mark alone", "\xEF\xBB\xBF"},
		{"UTF-16, little-endian", "\xFF\xFE<\x00h\x00e\x00a\x00d\x00>\x00"},
		{"UTF-16, big-endian", "\xFE\xFF\x00<\x00h\x00e\x00a\x00d\x00>"},

		{"white space of every kind", " \t\n\f\r<html> \t\n\f\r<head>^ "},
		{"comments everywhere", "<!--a--><!doctype html><!--b--><html><!--c--><head>^<!--d-->"},
		{"comment with tags", "<!-- <head> <p> --><head>^"},
		{"comment ends with a bang", "<!-- --!><head>^<!-- -->"},
		{"comment, bang and dashes", "<!-- --!--><head>^"},
		{"comment, bang and one dash", "<!-- --!-><head>--><head>^"},
		{"comment, bang and text", "<!-- --!x><head>--><head>^"},
		{"comment, empty", "<!----><head>^"},
		{"comment, bang at once", "<!--!><head>--><head>^"},
		{"comment, one dash and bang", "<!---!><head>--><head>^"},
		{"comment, two dashes and bang", "<!----!><head>^"},
		{"comment, abrupt", "<!--><head>^-->"},
		{"comment, abrupt with a dash", "<!---><head>^-->"},
		{"comment, many dashes", "<!----------><head>^"},
		{"comment, dashes apart", "<!-- - -- - -x> ---><head>^"},
		{"comment, nested", "<!-- <!-- --><head>^ -->"},
		{"comment, nested abrupt", "<!-- <!--><head>^ -->"},
		{"comment, nested abrupt with a dash", "<!-- <!---><head>^ -->"},
		{"comment, nested, bang", "<!-- <!--!><head>^ -->"},
		{"comment, nested, one dash", "<!-- <!-><head> --><head>^"},
		{"comment, open", "<html><!-- <head>"},
		{"comment, open after dashes", "<html><!-- --"},
		{"comment, open after the bang", "<html><!-- --!"},
		{"comment, just begun", "<html><!--"},
		{"bogus comment", "<html><!x '><head>^"},
		{"bogus comment, empty", "<html><!><head>^"},
		{"bogus comment, one dash", "<html><!-><head>^-->"},
		{"bogus comment, one dash and more", "<html><!-x--><head>^"},
		{"bogus comment, dashes later", "<html><!x-- ><head>^"},
		{"bogus comment, CDATA", "<html><![CDATA[<p>^]]>"},
		{"bogus comment, open", "<html><!x"},
		{"bogus comment, open with a dash", "<html><!-"},
		{"bogus comment, open with nothing", "<html><!"},
		{"XML declaration", `<?xml version="1.0"?><!doctype html>^<p>`},
		{"question mark only", "<?><head>^"},
		{"processing instruction, end in quotes", `<?a "><head>^">`},
		{"processing instruction, open", "<html><?php"},
		{"end tag that is a bogus comment", "<html></ x '><head>^"},
		{"end tag that is a bogus comment, a digit", "<html></1><head>^"},
		{"end tag that is an open bogus comment", "<html></ "},
		{"end tag without a name", "<html></>^x>"},

		{"html twice", "<html><html><head>^"},
		{"html in capitals", "<HTML>^<p>"},
		{"html, nothing else", "<html>^"},
		{"html, open", "<!doctype html><html"},
		{"html, open after a space", "<!doctype html><html "},
		{"html, open in a value", `<!doctype html><html a="><head>`},
		{"head, open", "<!doctype html><head"},
		{"head, open in its attributes", "<!doctype html><head x"},
		{"html, end in a value", `<html a=">"><head>^`},
		{"html, end in single quotes", `<html a='">'><head>^`},
		{"html, spaces around =", "<html a = \n'>' ><head>^"},
		{"html, quote in a name", `<html a"><head>^`},
		{"html, quote without =", `<html "><head>^`},
		{"html, quote after a name", `<html a "><head>^`},
		{"html, quote inside a bare value", `<html a=b"><head>^`},
		{"html, = begins a name", `<html ="><head>^`},
		{"html, = begins a name after a solidus", `<html /="><head>^`},
		{"html, = begins a name after a value", `<html a="b"="><head>^`},
		{"html, = twice", `<html a=="><head>^`},
		{"html, = after a name that is =", `<html =="><head>"><head>^`},
		{"html, = after a space", `<html a ="><head>"><head>^`},
		{"html, = after a solidus", `<html a/="><head>^`},
		{"html, solidus in a bare value", `<html a=/><head>^`},
		{"html, solidus in front of a value", `<html a=/"><head>^`},
		{"html, value missing", `<html a=><head>^`},
		{"html, value missing after a space", `<html a= ><head>^`},
		{"html, value after a space", `<!doctype html><html a= b="x><head>^"><head>`},
		{"html, attributes without spaces", `<html a="b"c='d'e=f><head>^`},
		{"html, solidus between", `<html/a="b"/><head>^`},
		{"html, angle in a name", `<html a<b><head>^`},
		{"html, NUL in a value", "<html a=\x00\"><head>^"},

		{"end tags skipped", "<html></p></header></a b='>'></h></heade></bodyy></brr><head>^"},
		{"end tag, long name with quotes", `<html></abcdef="><head>^`},
		{"end tag, long name and a solidus", `<html></abcdef/="><head>^`},
		{"end tag, long name, a solidus and a value", `<html></abcdef/a="><head>"><head>^`},
		{"end tag, long name and a value", `<html></abcdef a="><head>"><head>^`},
		{"end tag, name of five letters", "<html></title><head>^"},
		{"end tag of template", "<html></template><head>^"},
		{"end tag in capitals", "<html>^</HEAD>"},
		{"end tag of head", "<html>^</head>"},
		{"end tag of head with attributes", "<html>^</head a>"},
		{"end tag of body", "<html>^</body>"},
		{"end tag of html", "<html>^</html>"},
		{"end tag of br", "<html>^</br>"},
		{"end tag of br after a doctype", "<!doctype html>^</br/>"},
		{"end tag, open", "<html></p"},
		{"end tag, open with a long name", "<html></section"},
		{"end tag, open in its attributes", "<html></p a='"},

		{"less-than sign at the end", "<html>^<"},
		{"less-than sign and solidus at the end", "<html>^</"},
		{"ampersand at the end", "<html>^&"},
		{"ampersand and text", "<html>^& <head>"},
		{"ampersand and tag", "<html>^&<head>"},
		{"named reference", "<html>^&amp;<head>"},
		{"named reference that is no white space", "<html>^&nbsp;<head>"},
		{"Tab", "<html>&Tab;<head>^"},
		{"NewLine", "<html>&NewLine;<head>^"},
		{"Tab without the semicolon", "<html>^&Tab<head>"},
		{"Tab without the semicolon at the end", "<html>^&Tab"},
		{"tab: names keep their case", "<html>^&tab;<head>"},
		{"NEWLINE: names keep their case", "<html>^&NEWLINE;<head>"},
		{"Tabs", "<html>^&Tabs;<head>"},
		{"NewLines", "<html>^&NewLines;<head>"},
		{"reference without a name", "<html>^&;<head>"},
		{"decimal white space", "<html>&#9;&#10;&#12;&#13;&#32;&#032;<head>^"},
		{"hexadecimal white space", "<html>&#x9;&#xa;&#xA;&#Xc;&#xD;&#x20;&#x0020;<head>^"},
		{"number without the semicolon, tag", "<html>&#32<head>^"},
		{"number without the semicolon, text", "<html>&#32^x"},
		{"number without the semicolon, reference", "<html>&#32&#32^&#33"},
		{"number without the semicolon, letter after decimal", "<html>&#9^a"},
		{"number without the semicolon, hexadecimal", "<html>&#x20^<p>"},
		{"number at the end", "<html>&#32^"},
		{"number at the end, hexadecimal", "<html>&#xA^"},
		{"number at the end that is no white space", "<html>^&#3"},
		{"number that is no white space", "<html>^&#65;<head>"},
		{"number 0", "<html>^&#0;<head>"},
		{"number 11", "<html>^&#11;<head>"},
		{"number 133", "<html>^&#133;<head>"},
		{"number 160", "<html>^&#160;<head>"},
		{"number 288 is not 32", "<html>^&#288;<head>"},
		{"number far too high", "<html>^&#99999999999999999999999;<head>"},
		{"number missing", "<html>^&#;<head>"},
		{"number missing, hexadecimal", "<html>^&#x;<head>"},
		{"number missing, a letter", "<html>^&#a;<head>"},
		{"number missing at the end", "<html>^&#"},
		{"number missing at the end, hexadecimal", "<html>^&#x"},
		{"number as long as may be", "<html>&#00000000000032;<head>^"},
		{"number too long", "<html>&#000000000000032;<head>"},
		{"number much too long", "<html>&#" + zeros + "32;<head>"},
		{"number much too long and no white space", "<html>&#x" + zeros + "41;<head>"},
		{"reference in front of the doctype", "&#32;<!doctype html>^"},

		{"nothing", ""},
		{"fragment", "<p>x</p>"},
		{"fragment, text", "x"},
		{"fragment, white space", " \n "},
		{"fragment, comment", "<!-- x -->"},
		{"fragment, body", "<body>"},
		{"fragment, header", "<header>"},
		{"fragment, end tag", "</p>"},
		{"fragment, end tag of head", "</head><head>"},
		{"fragment, end tag of html", "</html>"},
		{"fragment, doctype too late", "x<!doctype html><head>"},
		{"fragment, html too late", "<p><html><head>"},
		{"fragment, reference", "&#33;<head>"},
		{"fragment, XML declaration", "<?xml?><p>"},
		{"fragment, less-than sign", "<"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after, found := strings.Cut(tt.doc, "^")
			doc := []byte(before + after)
			want, wantOffset := prolog.Leave, int64(-1)
			if found {
				want, wantOffset = prolog.Insert, int64(len(before))
			}
			check := func(cuts ...int) {
				verdict, offset := scan(t, doc, cuts...)
				require.Equal(t, want, verdict, "cut at %v", cuts)
				require.Equal(t, wantOffset, offset, "cut at %v", cuts)
			}
			check()
			every := make([]int, len(doc))
			for i := range doc {
				every[i] = i
				check(i)
			}
			check(every...)
		})
	}
}

func TestScannerStopsAtTheInsertionPoint(t *testing.T) {
	var s prolog.Scanner
	require.Equal(t, prolog.Undecided, s.Scan([]byte("<!doctype html><he")))
	require.Equal(t, int64(15), s.Safe())
	require.Equal(t, prolog.Insert, s.Scan([]byte("ad>")))
	require.Equal(t, int64(21), s.Offset())
	require.Equal(t, prolog.Insert, s.Scan([]byte("<head>")))
	require.Equal(t, int64(21), s.Offset())
}

// All but the start of a token that is not decided yet may be sent.
func TestScannerHoldsTokenStartsOnly(t *testing.T) {
	tests := []struct {
		doc  string
		safe int64
	}{
		{"", 0},
		{"\xEF\xBB", 0},
		{"\xEF\xBB\xBF", 3},
		{"<html><", 6},
		{"<html></", 6},
		{"<html></head", 6},
		{"<html></heade", 13},
		{"<html></p", 6},
		{"<html></p ", 10},
		{"<html><head", 6},
		{"<html><head ", 12},
		{"<html><!", 8},
		{"<html><?", 8},
		{"<html></ ", 9},
		{"<html><!-- <p> ", 15},
		{"<html>&NewLine", 6},
		{"<html>&#0000", 6},
		{"<html>&#32;", 11},
		{"<html> ", 7},
	}
	for _, tt := range tests {
		var s prolog.Scanner
		require.Equal(t, prolog.Undecided, s.Scan([]byte(tt.doc)), "%q", tt.doc)
		require.Equal(t, tt.safe, s.Safe(), "%q", tt.doc)
	}
}

func FuzzScanner(f *testing.F) {
	for _, doc := range []string{
		"\xEF\xBB\xBF<!DOCTYPE html>\n<html lang=\"en\" a='>'b=c/>\n<!-- --!><head>",
		"<html>&#x20;&Tab;&NewLine;&#0000000000000000;</p a=\"></ x><!-x><![CDATA[",
		"<!---><!----><!--><?xml?></></br>",
	} {
		f.Add([]byte(doc), []byte{1, 2, 3, 250, 7})
	}
	f.Fuzz(func(t *testing.T, doc, lengths []byte) {
		var cuts, every []int
		at := 0
		for _, n := range lengths {
			if at += int(n); at > len(doc) {
				break
			}
			cuts = append(cuts, at)
		}
		for i := range doc {
			every = append(every, i)
		}
		verdict, offset := scan(t, doc)
		for _, cut := range [][]int{cuts, every} {
			v, o := scan(t, doc, cut...)
			require.Equal(t, verdict, v, "%q cut at %v", doc, cut)
			require.Equal(t, offset, o, "%q cut at %v", doc, cut)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	short := "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	comment := "<!--" + strings.Repeat(" copyright", 819) + "-->\n"
	tests := []struct{ name, doc string }{
		{"short prolog, 1 KB", short + strings.Repeat("x", 1<<10)},
		{"short prolog, 1 MB", short + strings.Repeat("x", 1<<20)},
		{"comment of 8 KB", comment + short},
		{"dashes, 8 KB", "<!-- " + strings.Repeat("- ", 4<<10) + "-->" + short},
		{"white space, 8 KB", strings.Repeat(" ", 8<<10) + short},
		{"attributes, 8 KB", "<html" + strings.Repeat(" a='b'", 1365) + ">" + short},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			doc := []byte(tt.doc)
			b.ReportAllocs()
			for b.Loop() {
				var s prolog.Scanner
				if s.Scan(doc) != prolog.Insert {
					b.Fatal("no insertion point")
				}
			}
		})
	}
}
