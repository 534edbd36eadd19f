// tab.js keeps what only this tab knows and wants: whether it takes part, when the user came back, what was asked for.
// It is given that by the modules that learn of it, and lets plan.js decide with it and with what all tabs share.
// It never touches the network, and shows nothing.

import { lastInput } from './activity.js';
import { config } from './config.js';
import { page } from './dom.js';
import { plan } from './plan.js';
import { readRecord } from './record.js';

const opened = Date.now();

/**
 * @type {import('./plan.js').Tab & {stopped: boolean, stay: number, fault?: number}} fault is the status of the last failure,
 * where something else than the endpoints answered; 0 for a redirect
 */
export const tab = {
	/**
	 * Whether it takes no part: the server sent the page without a session, so that it waits for keepalive:check, or the page
	 * has called keepalive.stop(), or the configuration is wrong.
	 */
	stopped: 'anonymous' in config,
	/** How often the user has asked to stay, whatever the mode says, and got no answer yet. */
	stay: 0,
	/** This tab wants an answer of its own. */
	look: false,
	opened,
	/**
	 * When the user last came back. Until the page is known to come from the server, it asks like one that the user has just
	 * come back to.
	 */
	woken: opened,
	/** When the network last came back. */
	online: 0,
};

/** Decides what to do, by all that is known now. */
export const decide = () =>
	plan(readRecord(), Date.now(), config, {
		...tab,
		hidden: page.hidden,
		input: lastInput(),
	});

/** Reports whether this tab may ask anything. A prerendered page waits until somebody sees it. */
export const takesPart = () => !tab.stopped && !page.prerendering;
