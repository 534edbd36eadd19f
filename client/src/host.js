// host.js keeps one part of the document on the page, above all else: a dialog or the bar.
// It is given the part. In a shadow tree beside body neither the page's styles nor soft navigation reach it.
// It never decides what is shown, and never listens to the user.

import { isDarkPage } from './dark.js';
import { functions, page } from './dom.js';

// A page may open a modal dialog after ours, move the focus, or remove what it does not know. It gets a moment for that, so
// that a page which insists on it does not keep the browser busy.
const MOMENT = 50;

const NAME = 'keepalive-dialog';

/** @typedef {HTMLElement & Partial<Pick<HTMLDialogElement, 'showModal'|'close'|'open'>>} Part the bar is no dialog */

/** @type {HTMLElement|undefined} */
let host;
/** @type {ShadowRoot} */
let root;
/** @type {Part|undefined} */
let part;

/** Returns what is shown. */
export const shownPart = () => part;

/** Returns what a selector finds there, which must be there. @param {string} selector */
export const find = (selector) => /** @type {HTMLElement} */ (part?.querySelector(selector));

/** Reports whether an event happened in what is shown. @param {Event} event */
export const isOurs = (event) => Boolean(host && event.composedPath().includes(host));

/**
 * Where the host belongs. A dialog goes into an open popover, which showModal() would close otherwise. The bar goes into the
 * page's modal dialog, outside of which nothing can be clicked.
 */
const parent = () => {
	const selector = part?.showModal ? ':popover-open:not([popover=manual])' : ':modal';
	try {
		return [...functions.querySelectorAll(selector)].pop() ?? page.documentElement;
	} catch {
		return page.documentElement; // an engine that does not know these states
	}
};

export const isOnPage = () => Boolean(host?.isConnected);

/** Reports whether the user can see and reach the part. */
const isReachable = () => {
	if (!host?.isConnected || !part) return false;
	if (!part.showModal) return host.parentNode === parent();
	const { left, top, width, height } = part.getBoundingClientRect();
	// Under another modal dialog, this finds the other one. It finds nothing where nothing of the page can be seen.
	const hit = functions.elementFromPoint(left + width / 2, top + height / 2);
	// A second script may have one, too, and they must not fight.
	return part.open && (!hit || hit.localName === NAME);
};

/** Brings the part to the top, where that is needed. */
export const place = () => {
	if (!host || !part) return;
	host.toggleAttribute('data-dark', isDarkPage());
	host.removeAttribute('inert');
	host.removeAttribute('aria-hidden');
	if (isReachable()) return;
	const focused = /** @type {HTMLElement} */ (root.activeElement ?? part);
	part.close?.();
	parent().append(host);
	part.showModal?.();
	if (part.showModal) focused.focus();
};

/** @type {() => void} */
let onChange;

const observer = new MutationObserver((mutations) => {
	const isOpened = mutations.some(({ type }) => type === 'attributes');
	if (isOpened || !isOnPage()) setTimeout(onChange, MOMENT);
});

/** Takes what is shown off the page, and gives the focus back. */
export const hide = () => {
	const [oldHost, oldPart] = [host, part];
	host = part = undefined;
	observer.disconnect();
	oldPart?.close?.();
	oldHost?.remove();
};

/**
 * Shows a copy of an element, in place of what is shown, and returns it. When the page has opened something since, or has
 * removed the copy, changed is called.
 * @type {(template: HTMLElement, style: string, changed: () => void) => Part}
 */
export const show = (template, style, changed) => {
	hide();
	onChange = changed;
	part = functions.importNode(template, true);
	// Pages hide elements that are not defined, until their own are.
	if (!customElements.get(NAME)) customElements.define(NAME, class extends HTMLElement {});
	host = functions.createElement(NAME);
	root = host.attachShadow({ mode: 'open' });
	root.append(part);
	try {
		// Not a style element, which policies forbid.
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(style);
		root.adoptedStyleSheets = [sheet];
	} catch {
		find('[role=status]')?.remove(); // an engine that lacks this shows all in plain, and nothing twice
	}
	place();
	observer.observe(document, { childList: true, subtree: true, attributeFilter: ['open'] });
	return part;
};
