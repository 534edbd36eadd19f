// login.js goes to the page to sign in by itself, where Config.AfterEnd is OpenLogin.
// It is given the address of that page, how to ask the server, and what to do when there is a session after all.
// It never goes while a field holds unsaved input, while nobody sees the page, or without the server's word of just now.

import { functions, page } from './dom.js';

/** The server is asked so often at most. */
const PAUSE = 10_000;

/** What the user can change in a field. @param {any} field */
const inputIn = ({ value, checked, selectedOptions = [] }) =>
	[value, checked, ...Array.from(selectedOptions, ({ index }) => index)].join();

/** Compares with a copy that was reset. It is never in the page. @param {Element} field */
const isUnsavedField = (field) => {
	const form = functions.createElement('form');
	const copy = functions.importNode(field, true);
	form.append(copy);
	form.reset();
	return inputIn(copy) !== inputIn(field) || Boolean(/** @type {HTMLInputElement} */ (field).validity?.badInput);
};

/** @param {Element} editor */
const isFilled = (editor) => Boolean(editor.textContent?.trim() || editor.querySelector('img,video,audio,canvas,svg,table,iframe'));

/** @type {(root: Element|ShadowRoot) => boolean} */
const hasUnsavedInput = (root) =>
	[...root.querySelectorAll('*')].some((element) => {
		const { localName, shadowRoot, contentDocument } = /** @type {HTMLIFrameElement} */ (element);
		const inner = contentDocument ? Reflect.get(Document.prototype, 'documentElement', contentDocument) : shadowRoot;
		// What an editor held at first is not known. Under a modal dialog, engines take no element for one that can be edited.
		const isEditor = element.matches('[contenteditable]:not([contenteditable=false])');
		const isField = /^(input|select|textarea)$/.test(localName);
		const isOwnField = Reflect.get(customElements.get(localName) ?? {}, 'formAssociated');
		return (inner && hasUnsavedInput(inner)) || (isField && isUnsavedField(element)) || isOwnField || (isEditor && isFilled(element));
	});

/** Reports whether somebody could lose something. */
const isInUse = () => {
	try {
		return page.hidden || hasUnsavedInput(page.documentElement);
	} catch {
		return true; // forms with fields that hide what is read here
	}
};

let askedAt = 0;

/** @type {(login: string, get: typeof import('./words.js').get, onSession: () => void) => Promise<void>} */
export const openLogin = async (login, get, onSession) => {
	const url = new URL(login);
	if (url.origin + url.pathname === location.origin + location.pathname) return;
	if (Date.now() < askedAt + PAUSE || isInUse()) return;
	askedAt = Date.now();
	const status = (await get('ping'))?.status;
	if (status === 200) onSession();
	if (status !== 401 || isInUse()) return;
	url.searchParams.set('next', location.href.slice(location.origin.length));
	location.assign(url);
};
