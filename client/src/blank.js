// blank.js keeps a private page from being seen without a session, where Config.AfterEnd is BlankPage.
// It is given the moments when the page is left, comes back, and is known to have a session or none.
// It never asks the server, and does nothing with the other settings.

import { config } from './config.js';
import { page } from './dom.js';

/** @param {boolean} hidden whether the page waits for the server's word */
export const hidePage = (hidden) => {
	if (config.blank) page.documentElement.style.setProperty('display', hidden ? 'none' : '', 'important');
};

/** Removes the page's content for good. No listener of the page can object. */
export const removeContent = () => {
	page.documentElement.replaceChildren();
	hidePage(false);
};
