// dark.js finds out whether the page is dark although it says nothing of its colour scheme.
// It is given the computed style of the page.
// It never reads pixels, which some browsers falsify.

import { page } from './dom.js';

/**
 * Returns how light a computed colour is, from 0 to 1, or undefined where it is transparent or hard to tell.
 * @param {string} color
 */
const lightness = (color) => {
	const [x = 0, y = 0, z = 0, alpha = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
	if (alpha < 0.5) return undefined;
	if (color.startsWith('rgb')) return (2 * x + 7 * y + z) / 2550; // about the luminance
	if (color.startsWith('ok')) return x; // oklab, oklch
	return undefined;
};

/** @param {Element|null} element */
const lightnessOf = (element) => (element ? lightness(getComputedStyle(element).backgroundColor) : undefined);

export const isDarkPage = () => {
	const root = page.documentElement;
	if (!root || getComputedStyle(root).colorScheme !== 'normal') return false;
	return (lightnessOf(page.body) ?? lightnessOf(root) ?? 1) < 0.4;
};
