package e2e_test

import (
	"bytes"
	"cmp"
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

const (
	pageWidth, pageHeight   = 560, 360
	smallWidth, smallHeight = 320, 256 // WCAG 2.2, 1.4.10
)

// appearance is how the page is looked at.
type appearance struct {
	name, lang    string
	dark          bool
	width, height int
	style         string // of the root
	forced        bool   // colours of the user
}

var appearances = []appearance{
	{name: "light", lang: "en", width: pageWidth},
	{name: "dark", lang: "en", dark: true, width: pageWidth},
	{name: "small", lang: "en", width: smallWidth, height: smallHeight},
	{name: "forced", lang: "en", width: pageWidth, forced: true},
	{name: "light accent", lang: "en", width: pageWidth, style: "--keepalive-accent: #fc3"},
	{name: "dark accent", lang: "en", dark: true, width: pageWidth, style: "--keepalive-accent: oklch(0.3 0.1 150)"},
	{name: "dark page that does not say so", lang: "en", dark: true, width: pageWidth, style: "background: #123; color: #fff; color-scheme: normal"},
	{name: "the same in other colours", lang: "en", dark: true, width: pageWidth, style: "background: oklch(0.2 0.03 264); color: #fff; color-scheme: normal"},
	{name: "rtl", lang: "he", width: pageWidth},
	{name: "rtl-narrow", lang: "he", dark: true, width: 360},
	{name: "german", lang: "de", width: 360}, // long words
}

var translations = map[string]keepalive.Texts{
	"de": {
		Lang:             "de",
		Warning:          "Ihre Sitzung läuft gleich ab",
		Idle:             "Sie werden in {time} abgemeldet.",
		Lifetime:         "Sie werden in {time} in jedem Fall abgemeldet. Bitte speichern Sie Ihre Arbeit.",
		Offline:          "Der Server ist nicht erreichbar. Ein neuer Versuch läuft.",
		Wait:             "Einen Moment bitte.",
		Unknown:          "Ihre Sitzung ist vielleicht abgelaufen.",
		Stay:             "Angemeldet bleiben",
		SignOut:          "Abmelden",
		Close:            "Schließen",
		Expired:          "Sie wurden abgemeldet",
		ExpiredElsewhere: "Ihre Sitzung wurde an anderer Stelle beendet.",
		Kept:             "Ihre Eingaben sind noch da.",
		SignIn:           "In einem neuen Tab anmelden",
		SignedOut:        "Sie sind abgemeldet. Was Sie hier eingeben, kann nicht gespeichert werden.",
		OtherUser:        "Sie sind jetzt als jemand anderes angemeldet",
		OtherUserText:    "Was Sie von dieser Seite senden, würde in dessen Namen gesendet.",
		Reload:           "Seite neu laden",
	},
	"he": {
		Lang:             "he",
		Warning:          "החיבור שלך עומד להסתיים",
		Idle:             "החיבור יינתק בעוד {time}.",
		Lifetime:         "החיבור יינתק בעוד {time}, בכל מקרה. נא לשמור את העבודה.",
		Offline:          "אין קשר עם השרת. מתבצע ניסיון נוסף.",
		Wait:             "רק רגע.",
		Unknown:          "ייתכן שהחיבור הסתיים. השרת עדיין לא ענה.",
		Stay:             "להישאר מחובר",
		SignOut:          "יציאה",
		Close:            "סגירה",
		Expired:          "החיבור נותק",
		ExpiredElsewhere: "החיבור נותק במקום אחר.",
		Kept:             "מה שהקלדת עדיין כאן.",
		SignIn:           "התחברות בלשונית חדשה",
		SignedOut:        "החיבור נותק. מה שיוקלד כאן לא יישמר.",
		OtherUser:        "כעת מחובר משתמש אחר",
		OtherUserText:    "מה שיישלח מדף זה יישלח בשמו.",
		Reload:           "טעינת הדף מחדש",
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

// testDialogAppearance checks each dialog, and the bar, in each language, colour scheme and size: by axe, by what can be
// measured, and in a picture.
func testDialogAppearance(t *testing.T, b *webdriver.Browser) {
	axe := string(npm.File(t, npm.Axe, npm.AxeVersion, npm.AxePath, npm.AxeIntegrity))
	openPopup(t, b)
	config := func(c *keepalive.Config) {
		c.WarnBefore, c.LoginURL, c.LogoutURL, c.Texts = warn, "/login", "/logout", translate
	}
	kept := newApp(t, longIdle, time.Hour, config)
	blank := newApp(t, longIdle, time.Hour, config, func(c *keepalive.Config) { c.AfterEnd = keepalive.BlankPage })
	for _, lang := range []string{"en", "he", "de"} {
		open(t, b, blank, lang)
		blank.endSession(t, b)
		require.Equal(t, lang, waitForDialog(t, b).Lang)
		webdriver.Script[any](b, axe)
		checkAppearances(t, b, "blank", lang)

		open(t, b, kept, lang)
		webdriver.Script[any](b, axe)
		for _, test := range []struct {
			name string
			view view
		}{
			{"idle", view{Notice: "idle", Left: 95}},
			{"offline", view{Notice: "idle", Left: 95, Failing: true}},
			{"unknown", view{Notice: "idle", Left: -1, Failing: true}},
			{"lifetime", view{Notice: "lifetime", Left: 7500}},
			{"expired", view{Notice: "gone"}},
			{"user", view{Notice: "user"}},
			{"bar", view{Notice: "gone"}},
		} {
			require.Equal(t, lang, showView(t, b, test.view).Lang)
			if test.name == "bar" {
				b.Press(webdriver.Escape)
				waitForBar(t, b, true)
			}
			checkAppearances(t, b, test.name, lang)
		}
	}
}

// open goes to a page of the app in a language, with a session.
func open(t *testing.T, b *webdriver.Browser, a *app, lang string) {
	a.inLanguage()
	b.Navigate(a.URL + "/login?lang=" + lang)
	resize(t, b, pageWidth, pageHeight)
}

// checkAppearances checks what the current page shows.
func checkAppearances(t *testing.T, b *webdriver.Browser, dialog, lang string) {
	for _, appearance := range appearances {
		isPossible := b.Engine == webdriver.Chromium || !appearance.forced &&
			(b.Engine == webdriver.Firefox || appearance.height == 0) // WebKit's windows can't be so small
		if appearance.lang != lang || !isPossible || appearance.style != "" && dialog != "idle" {
			continue
		}
		t.Run(dialog+"-"+appearance.name, func(t *testing.T) { checkAppearance(t, b.For(t), dialog, appearance) })
	}
}

func checkAppearance(t *testing.T, b *webdriver.Browser, dialog string, look appearance) {
	size := image.Pt(look.width, cmp.Or(look.height, pageHeight))
	resize(t, b, size.X, size.Y)
	scheme := "light"
	if look.dark {
		scheme = "dark"
	}
	if look.forced {
		b.EmulateMedia("", map[string]string{"forced-colors": "active"})
		defer b.EmulateMedia("", nil)
	}
	// Axe takes pages without a background for white ones.
	webdriver.Script[any](b, "document.documentElement.style = 'background: Canvas; color-scheme: ' + arguments[0] + ';' + arguments[1]", scheme, look.style)
	eventually(t, "the page has its colours", func() bool {
		return webdriver.Script[bool](b, `
			const host = document.querySelector('keepalive-dialog');
			const hasColours = host.hasAttribute('data-dark') === /normal/.test(arguments[0]) || !host.shadowRoot.firstChild.showModal;
			return hasColours && document.title !== '' // a page that has lost its content gets one again`, look.style)
	})
	m := measure(b)
	require.Equal(t, look.lang == "he", m.Direction == "rtl", m.Direction)
	require.True(t, m.Box.In(image.Rectangle{Max: size}), "%v", m.Box)
	require.Empty(t, m.Moving)
	require.Empty(t, m.Small)
	require.Empty(t, webdriver.AsyncScript[[]string](b, runAxe))
	if !look.forced { // where the user's colours are not the page's to measure
		require.Empty(t, m.Pale)
	} else if dialog != "lifetime" { // which has no button that comes first
		require.Equal(t, webdriver.Script[string](b, `
			const probe = document.documentElement.appendChild(document.createElement('i'));
			probe.style = 'forced-color-adjust: none; background: Highlight';
			const color = getComputedStyle(probe).backgroundColor;
			probe.remove();
			return color`), m.Buttons[0])
	}
	if look.height == 0 {
		require.False(t, m.Scrolls)
		require.Empty(t, m.Outside)
	} else {
		requireReachable(t, b)
	}

	webdriver.AsyncScript[any](b, "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))") // it is painted
	img, err := png.Decode(bytes.NewReader(b.Screenshot()))
	require.NoError(t, err)
	require.Equal(t, size, img.Bounds().Size())
	background := color.GrayModel.Convert(img.At(m.Box.Min.X+6, m.Box.Min.Y+6)).(color.Gray)
	if !look.forced {
		require.Equal(t, look.dark, background.Y < 128, "%v", background)
	}
	updatePicture(t, string(b.Engine)+"-"+dialog+"-"+strings.ReplaceAll(look.name, " ", "-"), img)
}

// requireReachable fails unless each button can be scrolled to, so that it is seen whole.
func requireReachable(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	const buttons = "const part = document.querySelector('keepalive-dialog').shadowRoot.firstChild, buttons = part.querySelectorAll('button, a');"
	unseen := webdriver.Script[int](b, buttons+`
		return [...buttons].filter(button => {
			button.scrollIntoView({block: 'nearest'});
			const inner = button.getBoundingClientRect(), outer = part.getBoundingClientRect();
			return inner.top < outer.top || inner.bottom > outer.bottom || inner.left < outer.left || inner.right > outer.right;
		}).length`)
	require.Zero(t, unseen)
	webdriver.Script[any](b, buttons+"part.scrollTo(0, 0)")
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

func resize(t *testing.T, b *webdriver.Browser, width, height int) {
	t.Helper()
	eventually(t, "the window has its size", func() bool {
		return webdriver.Script[bool](b, `
			const [width, height] = arguments;
			if (innerWidth === width && innerHeight === height) return true;
			resizeBy(width - innerWidth, height - innerHeight);
			return false`, width, height)
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
	// The parts that are smaller than a finger, and the background of each button.
	Small, Buttons []string
}

func measure(b *webdriver.Browser) measured {
	return webdriver.Script[measured](b, `
		const dialog = document.querySelector('keepalive-dialog').shadowRoot.firstChild;
		const box = dialog.getBoundingClientRect();
		const parts = [...dialog.querySelectorAll('[part]')].filter(e => e.checkVisibility());
		const scrolls = (e) => e.scrollWidth > e.clientWidth;
		const moves = (style) => style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
		const name = (e) => e.getAttribute('part');
		// Colours are given as rgb(255, 255, 255) or color(xyz-d65 1 1 1), which here is nearly white or black.
		const rgba = (color) => color.replace(/.*d65/, '').match(/[\d.]+/g)
			.map((c, i) => i < 3 && color.startsWith('color') ? c * 255 : Number(c));
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
			small: parts.filter(e => {
				const {width, height} = e.getBoundingClientRect();
				return e.matches('button, a') && (width < 44 || height < 44);
			}).map(name),
			buttons: parts.filter(e => e.matches('button, a')).map(e => getComputedStyle(e).backgroundColor),
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
	const [done] = arguments;
	axe.run(document).then(
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
