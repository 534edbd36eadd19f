package keepalive

import (
	"cmp"
	"embed"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Texts are the words of the dialogs. They are plain text, not HTML. Fields that
// are empty have the built-in texts of the language Lang or, where there are none
// or Lang is empty too, of the language that the request prefers. The English
// ones are given with each field.
type Texts struct {
	// Lang is the language of the other fields, as a BCP 47 tag. It is the
	// dialog's lang, for screen readers, and writes the time that is left. Which
	// way the words run follows from the words. Set it with any other field. "en".
	Lang string

	// Warning is the title before the end: "Your session is about to end".
	Warning string
	// Idle is the text before the idle end, with {time} where the time that is
	// left goes: "You will be signed out in {time}." The time is in the nominative,
	// such as "2 minutes, 5 seconds".
	Idle string
	// Lifetime is the text before the lifetime's end, which nothing can put off:
	// "You will be signed out in {time}. This time can’t be extended. Please save
	// your work."
	Lifetime string
	// Offline follows these while the server does not answer: "The server can’t
	// be reached. Trying again."
	Offline string
	// Unknown takes the place of Idle and Lifetime past the end, while the server
	// does not answer: "Your session may have ended."
	Unknown string
	// Wait is shown while Stay has no answer yet: "Please wait."
	Wait string
	// Stay is the button that extends the session: "Stay signed in".
	Stay string
	// SignOut is the button that ends it: "Sign out".
	SignOut string
	// Close is the button of what can only be read: "Close".
	Close string

	// Expired is the title after the end: "You have been signed out".
	Expired string
	// ExpiredIdle says why: "This page was not used for too long."
	ExpiredIdle string
	// ExpiredLifetime says why: "Your session has reached its time limit."
	ExpiredLifetime string
	// ExpiredElsewhere says why: "Your session was ended elsewhere."
	ExpiredElsewhere string
	// Kept follows these where the page stays: "What you have typed is still
	// here."
	Kept string
	// SignedOut is the text of the bar that stays after the dialog, and of a form
	// that is held back: "You are signed out. What you type here can’t be saved."
	SignedOut string
	// SignIn is the link to Config.LoginURL: "Sign in in a new tab".
	SignIn string

	// OtherUser is the title where another user has signed in: "You are now
	// signed in as somebody else".
	OtherUser string
	// OtherUserText follows it: "This page was opened for another user. Reload it
	// before you go on."
	OtherUserText string
	// Reload is the button that loads the page again: "Reload".
	Reload string
}

// textFiles holds the built-in texts, a file for each language.
//
//go:embed texts/*.json
var textFiles embed.FS

// textAliases are languages that have the texts of another: former codes,
// Norwegian, and Chinese, whose script follows from the region.
var textAliases = map[string]string{
	"in": "id", "iw": "he", "mo": "ro",
	"nn": "nb", "no": "nb",
	"zh": "zh-hans", "zh-hk": "zh-hant", "zh-mo": "zh-hant", "zh-tw": "zh-hant",
}

// complete returns t with built-in texts in the place of empty fields: those of
// t.Lang if there are any, else those for the values of Accept-Language.
func (t Texts) complete(accepted []string) Texts {
	builtIn, found := findTexts(t.Lang, nil)
	if !found {
		builtIn = chooseTexts(accepted)
	}
	fields, defaults := reflect.ValueOf(&t).Elem(), reflect.ValueOf(builtIn)
	for i := range fields.NumField() {
		if fields.Field(i).IsZero() {
			fields.Field(i).Set(defaults.Field(i))
		}
	}
	return t
}

// maxLanguages bounds the work for a request. Browsers send a dozen at most.
const maxLanguages = 50

// chooseTexts returns the built-in texts of the language that Accept-Language
// (RFC 9110, section 12.5.4) prefers among those that have them, else English.
// Of ranges that come twice the first counts, so that the page's language wins.
// "*" asks for no language, and what is malformed is ignored.
func chooseTexts(accepted []string) Texts {
	var ranges []string
	weights, refused := make(map[string]float64), make(map[string]bool)
	// What exceeds the limit is in the last part, which is then no language.
	for _, part := range strings.SplitN(strings.Join(accepted, ","), ",", maxLanguages) {
		lang, parameter, _ := strings.Cut(part, ";")
		lang = strings.ToLower(strings.TrimSpace(lang))
		weight, ok := parseWeight(parameter)
		if _, twice := weights[lang]; ok && !twice && isLanguage(lang) {
			ranges, weights[lang], refused[lang] = append(ranges, lang), weight, weight == 0
		}
	}
	slices.SortStableFunc(ranges, func(a, b string) int { return cmp.Compare(weights[b], weights[a]) })
	for _, lang := range ranges {
		if t, found := findTexts(lang, refused); found {
			return t
		}
	}
	english, _ := findTexts("en", nil)
	return english
}

// parseWeight returns the weight in the parameter of a language range: 1 without
// one. It reports whether the parameter is a weight.
func parseWeight(parameter string) (weight float64, ok bool) {
	if parameter == "" {
		return 1, true
	}
	name, value, _ := strings.Cut(parameter, "=")
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return weight, err == nil && weight >= 0 && weight <= 1 && strings.EqualFold(strings.TrimSpace(name), "q")
}

// findTexts looks up the built-in texts of a language as RFC 4647, section 3.4,
// does: without its last subtag until there are some. It stops at a language
// that is refused.
func findTexts(lang string, refused map[string]bool) (t Texts, found bool) {
	for lang = strings.ToLower(lang); lang != ""; lang = lang[:max(0, strings.LastIndexByte(lang, '-'))] {
		name := cmp.Or(textAliases[lang], lang)
		if refused[lang] || refused[name] {
			return Texts{}, false
		}
		file, err := textFiles.ReadFile("texts/" + name + ".json")
		if err != nil {
			continue // no such file
		}
		if err := json.Unmarshal(file, &t); err != nil { // a fault of the file, which the tests read
			panic(err)
		}
		return t, true
	}
	return Texts{}, false
}

// preferLanguage returns a copy of r that accepts lang before all others, or r
// itself where lang is no language.
func preferLanguage(r *http.Request, lang string) *http.Request {
	if !isLanguage(lang) {
		return r
	}
	r = r.Clone(r.Context())
	if others := r.Header.Values("Accept-Language"); len(others) > 0 {
		lang += ", " + strings.Join(others, ", ")
	}
	r.Header.Set("Accept-Language", lang)
	return r
}

// isLanguage reports whether s has the form of a BCP 47 tag.
func isLanguage(s string) bool {
	return len(s) >= 2 && len(s) <= 35 && strings.Trim(s, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
