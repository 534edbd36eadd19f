// words.js loads the document that holds the dialogs, and asks the server in the name of the dialogs.
// It is given what to do when the document has come.
// It never believes an answer without the mark of the endpoints, or from another place.

import { page } from './dom.js';

/** Where the endpoints are. A <base> can't change the origin. */
export const folder = location.origin + new URL('.', import.meta.url).pathname;

const RETRY_DELAY = 10_000;

/** @type {Document|null|undefined} */
let words;
let isLoading = false;

/** Returns the document with one element for each id, in the page's language, or nothing while it has not come. */
export const loadedWords = () => words;

/**
 * Asks an endpoint. The result is undefined where nothing, or something else, has answered.
 * @type {(name: string, type?: XMLHttpRequestResponseType) => Promise<XMLHttpRequest|undefined>}
 */
export const get = (name, type = '') =>
	new Promise((resolve) => {
		const request = new XMLHttpRequest();
		request.open('GET', folder + name);
		request.responseType = type;
		request.onloadend = () => {
			const isOurs = request.responseURL.startsWith(folder) && request.getResponseHeader('keepalive');
			resolve(isOurs ? request : undefined);
		};
		request.send();
	});

/**
 * Loads the document, and tries again where that fails.
 * @type {(onLoad: () => void) => Promise<void>}
 */
export const loadWords = async (onLoad) => {
	if (isLoading) return;
	isLoading = true;
	// Trusted Types allow a response that is a document.
	const answer = await get(`dialog?${page.documentElement?.lang}`, 'document');
	words = answer?.responseXML;
	// A <base> of the page would lead their copies elsewhere.
	for (const link of words?.links ?? []) link.setAttribute('href', /** @type {HTMLAnchorElement} */ (link).href);
	for (const form of words?.forms ?? []) form.setAttribute('action', form.action);
	isLoading = false;
	if (words) onLoad();
	else setTimeout(onLoad, RETRY_DELAY);
};
