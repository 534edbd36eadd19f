package keepalive_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// builtInTexts reads the built-in texts by their language.
func builtInTexts(t testing.TB) map[string]keepalive.Texts {
	paths, err := filepath.Glob("texts/*.json")
	require.NoError(t, err)
	all := make(map[string]keepalive.Texts)
	for _, path := range paths {
		file, err := os.Open(path)
		require.NoError(t, err)
		decoder := json.NewDecoder(file)
		decoder.DisallowUnknownFields()
		var texts keepalive.Texts
		require.NoError(t, decoder.Decode(&texts), path)
		require.NoError(t, file.Close())
		require.Equal(t, strings.ToLower(texts.Lang)+".json", filepath.Base(path))
		all[texts.Lang] = texts
	}
	return all
}

// fields returns the words of texts by the names of their fields.
func fields(texts keepalive.Texts) map[string]string {
	words := make(map[string]string)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[keepalive.Texts]()) {
		if field.Name != "Lang" {
			words[field.Name] = reflect.ValueOf(texts).FieldByIndex(field.Index).String()
		}
	}
	return words
}

var languages = []string{
	"ar", "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "he", "hi", "hr", "hu", "id", "is", "it",
	"ja", "ko", "lt", "lv", "mt", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sl", "sv", "th", "tr", "uk", "vi",
	"zh-Hans", "zh-Hant",
}

// scripts has the scripts of languages that are not written in Latin letters.
var scripts = map[string][]*unicode.RangeTable{
	"ar": {unicode.Arabic}, "he": {unicode.Hebrew}, "hi": {unicode.Devanagari}, "th": {unicode.Thai}, "el": {unicode.Greek},
	"bg": {unicode.Cyrillic}, "ru": {unicode.Cyrillic}, "uk": {unicode.Cyrillic},
	"ja": {unicode.Han, unicode.Hiragana, unicode.Katakana}, "ko": {unicode.Hangul},
	"zh-Hans": {unicode.Han}, "zh-Hant": {unicode.Han},
}

func TestBuiltInTexts(t *testing.T) {
	all := builtInTexts(t)
	require.Len(t, all, len(languages))
	titles := []string{"Warning", "Expired", "OtherUser"}
	actions := []string{"Stay", "SignOut", "Close", "SignIn", "Reload"}
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			require.Regexp(t, `^[a-z]{2}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`, lang)
			seen := make(map[string]string)
			for name, text := range fields(all[lang]) {
				require.NotEmpty(t, text, name)
				require.Equal(t, strings.Join(strings.Fields(text), " "), text, name)
				require.Empty(t, seen[text], "%s has the same words", name)
				seen[text] = name
				if lang != "en" {
					require.NotEqual(t, fields(all["en"])[name], text, name)
				}
				words := strings.Replace(text, "{time}", "", 1)
				require.Equal(t, name == "Idle" || name == "Lifetime", words != text, "%s: {time}", name)
				require.NotContains(t, words, "{", name)
				require.NotRegexp(t, `['"<>&…!]`, words, name)

				alphabet := scripts[lang]
				if alphabet == nil {
					alphabet = []*unicode.RangeTable{unicode.Latin}
				}
				// All letters run in one direction: that of the script.
				for _, letter := range words {
					marked := letter == 'ー' || unicode.Is(unicode.Inherited, letter) // common to Japanese scripts; marks of Arabic
					require.True(t, !unicode.IsLetter(letter) || marked || unicode.In(letter, alphabet...), "%s: %q", name, letter)
				}

				length, most := utf8.RuneCountInString(text), 130
				switch last, _ := utf8.DecodeLastRuneInString(text); {
				case slices.Contains(actions, name):
					most = 32
					require.True(t, unicode.IsLetter(last) || unicode.IsMark(last) || strings.ContainsRune("’)", last), name)
				case slices.Contains(titles, name):
					most = 50
					require.True(t, unicode.IsLetter(last) || unicode.IsMark(last), name)
				case lang != "th": // which has no full stop
					require.Contains(t, ".。।", string(last), name)
				}
				require.LessOrEqual(t, length, most, name)
			}
		})
	}
}

// The comments of Texts give the English words.
func TestEnglishTextsInComments(t *testing.T) {
	source, err := os.ReadFile("texts.go")
	require.NoError(t, err)
	comments := regexp.MustCompile(`\n\t// `).ReplaceAllString(string(source), " ")
	for name, text := range fields(builtInTexts(t)["en"]) {
		require.Regexp(t, name+` [^\n]*"`+regexp.QuoteMeta(strings.TrimSuffix(text, "."))+`\.?"[^\n]*\n\t`+name+" string", comments)
	}
}

// serveDialogs returns a function that asks for the dialogs, and returns their
// document.
func serveDialogs(t testing.TB, texts func(*http.Request) keepalive.Texts) func(query, acceptLanguage string) string {
	handler := newManager(t, newSessions(), keepalive.Config{Texts: texts}).Handler()
	return func(query, acceptLanguage string) string {
		r := httptest.NewRequest("GET", "/keepalive/dialog", nil)
		r.URL.RawQuery = query
		if acceptLanguage != "" {
			r.Header.Set("Accept-Language", acceptLanguage)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Body.String()
	}
}

var htmlLang = regexp.MustCompile(`<html lang="([^"]*)"`)

func TestChooseLanguage(t *testing.T) {
	dialogs := serveDialogs(t, nil)
	tests := []struct{ name, query, accept, want string }{
		{name: "nothing", want: "en"},
		{name: "the browser's", accept: "fr", want: "fr"},
		{name: "the first", accept: "fr, de", want: "fr"},
		{name: "with regions", accept: "de-AT,de;q=0.9,en;q=0.8", want: "de"},
		{name: "region alone", accept: "de-CH-1996", want: "de"},
		{name: "upper case", accept: "FR-CA", want: "fr"},
		{name: "by weight", accept: "fr;q=0.5, pl;q=0.7, de;q=0.6", want: "pl"},
		{name: "weight without a digit before", accept: "fr;q=.5, pl;q=0.7", want: "pl"},
		{name: "equal weights keep their order", accept: "it;q=0.8, pl;q=0.8", want: "it"},
		{name: "white space", accept: " fr ;\tQ = 0.1 ,\tcs ; q=0.2", want: "cs"},
		{name: "not there", accept: "eo, cs;q=0.5, de;q=0.1", want: "cs"},
		{name: "none is there", accept: "eo, tlh", want: "en"},
		{name: "refused", accept: "de;q=0, fr;q=0.1", want: "fr"},
		{name: "refused, with three digits", accept: "de;q=0.000, fr;q=0.001", want: "fr"},
		{name: "refused by a region", accept: "de-AT, de;q=0, fr;q=0.1", want: "fr"},
		{name: "a region is refused", accept: "de-AT;q=0, de, fr;q=0.1", want: "de"},
		{name: "a refused region asks for nothing", accept: "de-AT;q=0, fr;q=0.1", want: "fr"},
		{name: "refused before it gets its other name", accept: "no-NO, no;q=0, sv;q=0.1", want: "sv"},
		{name: "refused by its other name", accept: "no, nb;q=0, sv;q=0.1", want: "sv"},
		{name: "English is refused, but the rest", accept: "en;q=0, *", want: "en"},
		{name: "anything", accept: "*", want: "en"},
		{name: "anything comes last", accept: "*, hu;q=0.1", want: "hu"},
		{name: "nothing else", accept: "hu, *;q=0", want: "hu"},
		{name: "Norwegian", accept: "no", want: "nb"},
		{name: "Nynorsk", accept: "nn-NO, en", want: "nb"},
		{name: "Hebrew by its former code", accept: "iw-IL", want: "he"},
		{name: "Indonesian by its former code", accept: "in", want: "id"},
		{name: "Moldavian", accept: "mo", want: "ro"},
		{name: "Chinese", accept: "zh", want: "zh-Hans"},
		{name: "Chinese in China", accept: "zh-CN,zh;q=0.9", want: "zh-Hans"},
		{name: "Chinese in Singapore", accept: "zh-SG", want: "zh-Hans"},
		{name: "Chinese in Taiwan", accept: "zh-TW,zh;q=0.9", want: "zh-Hant"},
		{name: "Chinese in Hong Kong", accept: "zh-HK", want: "zh-Hant"},
		{name: "Chinese in Macau", accept: "zh-MO", want: "zh-Hant"},
		{name: "Chinese by script", accept: "zh-Hant", want: "zh-Hant"},
		{name: "script before region", accept: "zh-Hans-HK", want: "zh-Hans"},
		{name: "script and region", accept: "zh-Hant-CN", want: "zh-Hant"},
		{name: "Portuguese", accept: "pt", want: "pt"},
		{name: "Portuguese in Angola", accept: "pt-AO", want: "pt"},
		{name: "Portuguese in Brazil", accept: "pt-BR,pt;q=0.9", want: "pt-BR"},
		{name: "a private subtag", accept: "pl-x-private", want: "pl"},
		{name: "underscore", accept: "de_DE, fr", want: "fr"},
		{name: "not a weight", accept: "de;q=high, fr;level=1, hu;q=2, it;q=NaN, sk;q=-1, et;q=0.1", want: "et"},
		{name: "no file of texts", accept: "../texts/de, texts/de, de.json, -, --, de-, fr", want: "de"},
		{name: "empty elements", accept: ",, ,;q=1,fi,", want: "fi"},
		{name: "fifty languages", accept: strings.Repeat("eo,", 49) + "de", want: "de"},
		{name: "more languages than anybody speaks", accept: strings.Repeat("eo,", 50) + "de", want: "en"},

		{name: "the page's", query: "da", want: "da"},
		{name: "the page's comes first", query: "da-DK", accept: "de, da;q=0.1", want: "da"},
		{name: "the page's is refused", query: "da", accept: "de, da;q=0", want: "da"},
		{name: "the page's is not there", query: "eo", accept: "de", want: "de"},
		{name: "the page's is Norwegian", query: "no", accept: "en", want: "nb"},
		{name: "the page's is no language", query: "fr,da", accept: "de", want: "de"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, htmlLang.FindStringSubmatch(dialogs(tt.query, tt.accept))[1])
		})
	}
	for lang, texts := range builtInTexts(t) {
		page := dialogs(lang, "")
		require.Contains(t, page, fmt.Sprintf(`<html lang="%s"`, lang))
		require.Contains(t, page, texts.Stay)
	}
}

// What the app gives is kept, and the rest is in the language of what it gives.
func TestOwnTexts(t *testing.T) {
	tests := []struct {
		name                          string
		own                           keepalive.Texts
		wantLang, wantStay, wantClose string
	}{
		{name: "nothing", wantLang: "fr", wantStay: "Prolonger la session", wantClose: "Fermer"},
		{name: "another language", own: keepalive.Texts{Lang: "de", Stay: "Bleiben"}, wantLang: "de", wantStay: "Bleiben", wantClose: "Schließen"},
		{name: "a region", own: keepalive.Texts{Lang: "de-AT"}, wantLang: "de-AT", wantStay: "Angemeldet bleiben", wantClose: "Schließen"},
		{name: "an unknown language", own: keepalive.Texts{Lang: "eo", Stay: "Resti"}, wantLang: "eo", wantStay: "Resti", wantClose: "Fermer"},
		{name: "no language", own: keepalive.Texts{Stay: "Rester"}, wantLang: "fr", wantStay: "Rester", wantClose: "Fermer"},
		{name: "no language at all", own: keepalive.Texts{Lang: "../texts/de"}, wantLang: "../texts/de", wantStay: "Prolonger la session", wantClose: "Fermer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := serveDialogs(t, func(*http.Request) keepalive.Texts { return tt.own })("", "fr-BE, en;q=0.5")
			require.Contains(t, page, fmt.Sprintf(`<html lang="%s"`, tt.wantLang))
			require.Contains(t, page, fmt.Sprintf(`part="stay">%s<`, tt.wantStay))
			require.Contains(t, page, fmt.Sprintf(`part="close">%s<`, tt.wantClose))
		})
	}
}

// Whatever is asked for, the answer is one of the languages.
func FuzzChooseLanguage(f *testing.F) {
	dialogs := serveDialogs(f, nil)
	f.Add("", "de-AT, de;q=0.9, *;q=0")
	f.Add("zh-Hant-HK", "no;q=0, nn,;q=")
	f.Add("../en", "x-;q=1e-400, a-b-c-d,\xff\x00")
	f.Fuzz(func(t *testing.T, query, accept string) {
		require.Contains(t, languages, htmlLang.FindStringSubmatch(dialogs(query, accept))[1])
	})
}
