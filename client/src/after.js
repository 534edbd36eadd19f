// after.js does what follows the end of a session, where Config.AfterEnd is BlankPage or OpenLogin.
// It is given the document of the dialogs, how to ask the server, and what to do when there is a session after all.
// It never shows anything. Pages with the other settings do not load it.

import { functions, page } from './dom.js';
import { openLogin } from './login.js';

/** Removes what others put into a page that has lost its content, but for our dialog, and says at least where it is. */
const stayBlank = () => {
	const root = page.documentElement;
	if (!root) return;
	for (const child of [...root.children]) {
		if (!/^(title|keepalive-dialog)$/.test(child.localName)) child.remove();
	}
	if (page.title) return;
	const title = functions.createElement('title');
	title.textContent = location.host;
	root.prepend(title);
};

const observer = new MutationObserver(stayBlank);

/** @type {(words: Document, get: typeof import('./words.js').get, onSession: () => void) => void} */
export const goOn = (words, get, onSession) => {
	if (words.documentElement.dataset.after === 'blank') {
		stayBlank();
		observer.observe(document, { childList: true, subtree: true });
	} else {
		// New refuses OpenLogin without a LoginURL.
		openLogin(/** @type {HTMLAnchorElement} */ (words.querySelector('a')).href, get, onSession);
	}
};
