package e2e_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/npm"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// The pictures here are for people to look at: engines and fonts change, so none is compared. With KEEPALIVE_GOLDEN=1
// those that are there are made anew; an empty file is enough to have a new one. WebKit's show no focus, as its pop-up
// windows have none without a window manager.
const picturesFolder = "testdata/dialogs"

var appearances = []struct {
	name, lang string
	dark       bool
	width      int
}{
	{"light", "en", false, 560},
	{"dark", "en", true, 560},
	{"narrow", "en", false, 360},
	{"rtl", "he", false, 560},
	{"rtl-narrow", "he", true, 360},
	{"german", "de", false, 360}, // long words
}

const dialogPageHeight = 360

var translations = map[string]keepalive.Texts{
	"de": {
		Lang:             "de",
		Warning:          "Ihre Sitzung läuft gleich ab",
		Idle:             "Sie werden in {time} abgemeldet.",
		Lifetime:         "Sie werden in {time} in jedem Fall abgemeldet. Bitte speichern Sie Ihre Arbeit.",
		Offline:          "Der Server ist nicht erreichbar.",
		Stay:             "Angemeldet bleiben",
		SignOut:          "Abmelden",
		Close:            "Schließen",
		Expired:          "Sie wurden abgemeldet",
		ExpiredElsewhere: "Ihre Sitzung wurde an anderer Stelle beendet.",
		Kept:             "Ihre Eingaben sind noch da.",
		SignIn:           "In einem neuen Tab anmelden",
	},
	"he": {
		Lang:             "he",
		Warning:          "החיבור שלך עומד להסתיים",
		Idle:             "החיבור יינתק בעוד {time}.",
		Lifetime:         "החיבור יינתק בעוד {time}, בכל מקרה. נא לשמור את העבודה.",
		Offline:          "אין קשר עם השרת.",
		Stay:             "להישאר מחובר",
		SignOut:          "יציאה",
		Close:            "סגירה",
		Expired:          "החיבור נותק",
		ExpiredElsewhere: "החיבור נותק במקום אחר.",
		Kept:             "מה שהקלדת עדיין כאן.",
		SignIn:           "התחברות בלשונית חדשה",
	},
}

// translate is Config.Texts.
func translate(r *http.Request) keepalive.Texts {
	lang, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	return translations[lang]
}

// inLanguage serves the app's pages in the language that the address names.
func (a *app) inLanguage() {
	pages := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lang := r.URL.Query().Get("lang"); lang != "" {
			w = languageWriter{w, lang}
		}
		pages.ServeHTTP(w, r)
	})
}

type languageWriter struct {
	http.ResponseWriter
	lang string // of two letters, or the length would change
}

func (w languageWriter) Write(b []byte) (int, error) {
	return w.ResponseWriter.Write(bytes.Replace(b, []byte(`lang="en"`), []byte(`lang="`+w.lang+`"`), 1))
}

// testDialogAppearance checks each dialog in each language, colour scheme and width: by axe, by what can be measured, and
// in a picture.
func testDialogAppearance(t *testing.T, b *webdriver.Browser) {
	axe := string(npm.File(t, npm.Axe, npm.AxeVersion, npm.AxePath, npm.AxeIntegrity))
	openPopup(t, b)
	const early = 2 * time.Minute       // a warning is open for long enough to be checked
	const total = early + 7*time.Second // of which the script wants a twentieth
	warning := func(c *keepalive.Config) {
		c.Mode, c.WarnBefore, c.LogoutURL = keepalive.UserActive, early, "/logout"
	}
	end := func(t *testing.T, b *webdriver.Browser, a *app) {
		require.NoError(t, a.sm.Store.Delete(a.token(t, b)))
		webdriver.Script[any](b, "keepalive.look()")
	}
	for _, test := range []struct {
		name     string
		lifetime time.Duration
		config   func(*keepalive.Config)
		open     func(t *testing.T, b *webdriver.Browser, a *app)
		excused  []string // rules of axe
	}{
		{name: "idle", lifetime: time.Hour, config: warning},
		{name: "lifetime", lifetime: total, config: warning},
		{name: "expired", lifetime: time.Hour, open: end, config: func(c *keepalive.Config) { c.LoginURL = "/login" }},
		{
			name: "blank", lifetime: time.Hour, open: end,
			config: func(c *keepalive.Config) { c.LoginURL, c.AfterEnd = "/login", keepalive.BlankPage },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, total, test.lifetime, test.config, func(c *keepalive.Config) { c.Texts = translate })
			a.inLanguage()
			for _, lang := range []string{"en", "he", "de"} {
				a.down.Store(false)
				b.Navigate(a.URL + "/page") // the one before goes on without a session
				b.DeleteCookies()
				b.Navigate(a.URL + "/login?lang=" + lang)
				if test.open != nil {
					test.open(t, b, a)
				} else {
					waitForEvent(t, b, "keepalive:ping", 1) // before, the page may warn of an end that is too early
				}
				require.Equal(t, lang, waitForDialog(t, b).Lang)
				webdriver.Script[any](b, axe)
				checkAppearance(t, b, test.name, lang, test.excused)
				if test.name != "idle" {
					continue
				}
				a.down.Store(true)
				webdriver.Script[any](b, "keepalive.stay()")
				eventually(t, "the server can't be reached", func() bool { return readDialog(b).Offline != "" })
				checkAppearance(t, b, "offline", lang, nil)
			}
		})
	}
}

// checkAppearance checks the current page's open dialog.
func checkAppearance(t *testing.T, b *webdriver.Browser, dialog, lang string, excused []string) {
	for _, appearance := range appearances {
		if appearance.lang != lang {
			continue
		}
		t.Run(dialog+"-"+appearance.name, func(t *testing.T) {
			b := b.For(t)
			resize(t, b, appearance.width)
			scheme := "light"
			if appearance.dark {
				scheme = "dark"
			}
			// Axe takes pages without a background for white ones.
			webdriver.Script[any](b, "document.documentElement.style = 'background: Canvas; color-scheme: ' + arguments[0]", scheme)
			m := measure(b)
			require.Equal(t, lang == "he", m.Direction == "rtl", m.Direction)
			require.True(t, m.Box.In(image.Rect(0, 0, appearance.width, dialogPageHeight)), "%v", m.Box)
			require.False(t, m.Scrolls)
			require.Empty(t, m.Outside)
			require.Empty(t, m.Moving)
			require.Empty(t, m.Pale)
			require.Empty(t, webdriver.AsyncScript[[]string](b, runAxe, append([]string{}, excused...)))

			webdriver.AsyncScript[any](b, "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))") // it is painted
			img, err := png.Decode(bytes.NewReader(b.Screenshot()))
			require.NoError(t, err)
			require.Equal(t, image.Pt(appearance.width, dialogPageHeight), img.Bounds().Size())
			background := color.GrayModel.Convert(img.At(m.Box.Min.X+12, m.Box.Min.Y+12)).(color.Gray)
			require.Equal(t, appearance.dark, background.Y < 128, "%v", background)
			updatePicture(t, string(b.Engine)+"-"+dialog+"-"+appearance.name, img)
		})
	}
}

// openPopup goes on in a window without a frame, as other windows can't be narrow.
func openPopup(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, time.Hour, time.Hour)
	b.Navigate(a.URL + "/page")
	old := b.Windows()
	webdriver.Script[any](b, "document.querySelector('h1').onclick = () => { open('/page', '', 'popup,width=560,height=360') }")
	b.Click("h1")
	eventually(t, "a new window", func() bool { return len(b.Windows()) > len(old) })
	for _, window := range b.Windows() {
		if window != old[0] {
			b.SwitchTo(window)
		}
	}
}

func resize(t *testing.T, b *webdriver.Browser, width int) {
	t.Helper()
	eventually(t, "the window has its size", func() bool {
		return webdriver.Script[bool](b, `
			const [width, height] = arguments;
			if (innerWidth === width && innerHeight === height) return true;
			resizeBy(width - innerWidth, height - innerHeight);
			return false`, width, dialogPageHeight)
	})
}

// measured is what the current page's open dialog looks like.
type measured struct {
	Box       image.Rectangle
	Direction string
	Scrolls   bool
	// The parts that reach over the dialog's edge, that have an animation or a transition, and whose text or line does not
	// stand out from what is behind it (WCAG 2.2, 1.4.3 and 1.4.11).
	Outside, Moving, Pale []string
}

func measure(b *webdriver.Browser) measured {
	return webdriver.Script[measured](b, `
		const dialog = document.documentElement.lastElementChild.shadowRoot.querySelector('dialog');
		const box = dialog.getBoundingClientRect();
		const parts = [...dialog.querySelectorAll('[part]')].filter(e => e.checkVisibility());
		const scrolls = (e) => e.scrollWidth > e.clientWidth;
		const moves = (style) => style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
		const name = (e) => e.getAttribute('part');
		const rgba = (color) => color.match(/[\d.]+/g).map(Number);
		const luminance = (color) => rgba(color).slice(0, 3)
			.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
			.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
		const contrast = (a, b) => {
			const [dark, light] = [luminance(a), luminance(b)].sort((a, b) => a - b);
			return (light + 0.05) / (dark + 0.05);
		};
		const behind = (e) => {
			const color = getComputedStyle(e).backgroundColor;
			return rgba(color)[3] === 0 ? behind(e.parentNode) : color;
		};
		return {
			box: {
				min: {x: Math.floor(box.left), y: Math.floor(box.top)},
				max: {x: Math.ceil(box.right), y: Math.ceil(box.bottom)},
			},
			direction: getComputedStyle(dialog).direction,
			scrolls: scrolls(document.documentElement) || scrolls(dialog) || dialog.scrollHeight > dialog.clientHeight,
			outside: parts.filter(e => {
				const inner = e.getBoundingClientRect();
				return inner.left < box.left || inner.right > box.right || inner.top < box.top || inner.bottom > box.bottom;
			}).map(name),
			moving: [dialog, ...parts].filter(e => ['', '::backdrop'].some(pseudo => moves(getComputedStyle(e, pseudo)))).map(name),
			pale: parts.filter(e => {
				const {color, borderTopColor, borderTopStyle} = getComputedStyle(e);
				return contrast(color, behind(e)) < 4.5 || borderTopStyle === 'solid' && rgba(borderTopColor)[3] !== 0 &&
					contrast(borderTopColor, behind(e)) < 3;
			}).map(name),
		}`)
}

// runAxe returns what breaks a rule. Axe can't compute the contrast of text over a backdrop; measure does.
const runAxe = `
	const [excused, done] = arguments;
	axe.run(document, {rules: Object.fromEntries(excused.map(rule => [rule, {enabled: false}]))}).then(
		({violations}) => done(violations.map(rule =>
			rule.id + ': ' + rule.nodes.map(node => node.target.flat().join(' ') + ' ' + node.failureSummary).join('; '))),
		error => done(['axe: ' + error]))`

// updatePicture writes a picture anew where that was asked for.
func updatePicture(t *testing.T, name string, img image.Image) {
	t.Helper()
	file := filepath.Join(picturesFolder, name+".png")
	if _, err := os.Stat(file); err != nil || os.Getenv("KEEPALIVE_GOLDEN") == "" {
		return
	}
	var picture bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	require.NoError(t, encoder.Encode(&picture, img))
	require.NoError(t, os.WriteFile(file, picture.Bytes(), 0o644))
}
