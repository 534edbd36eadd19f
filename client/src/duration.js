// duration.js writes the time that is left as people of a language do.
// It is given seconds and a language.
// It never fails: where the language is none, it takes the browser's.

/** @type {(lang: string) => string[]} */
const locales = (lang) => {
	try {
		return Intl.getCanonicalLocales(lang);
	} catch {
		return [];
	}
};

/**
 * Returns such as "1 minute, 5 seconds". From an hour on, seconds are left out.
 * @type {(seconds: number, lang: string) => string}
 */
export const formatDuration = (seconds, lang) => {
	const locale = locales(lang);
	const hours = Math.floor(seconds / 3600);
	const units = { hour: hours, minute: Math.floor(seconds / 60) % 60, second: hours ? 0 : seconds % 60 };
	const words = [];
	for (const [unit, count] of Object.entries(units)) {
		if (count) words.push(new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(count));
	}
	return new Intl.ListFormat(locale, { type: 'unit' }).format(words);
};
