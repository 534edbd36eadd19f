// notice.js decides what the user is told: that the session is about to end, has ended, or is there again, or is
// another user's.
// It is given each step of the plan, and what to do when the user answers.
// It never asks the server, and never draws: the events go through api.js, the dialogs through dialog.js,
// which loader.js loads.

/** @import { Step } from './plan.js' */

import { dispatch, tellState, updateSignal } from './api.js';
import { hidePage, removeContent } from './blank.js';
import { config } from './config.js';
import { loadDialogs, loadedDialogs } from './loader.js';
import { tab, takesPart } from './tab.js';

/** @type {''|KeepaliveEnd|'gone'|'user'} what the user was told last, or knows */
let notice = '';
/** Whether the app draws, or the user knows. */
let isCancelled = false;

/** Reports whether the user has been warned, by the dialog or by the app, and has not answered yet. */
export const isUserAsked = () => (notice === 'idle' || notice === 'lifetime') && Boolean(isCancelled || loadedDialogs()?.isOpen());

/** Reports whether the user was told, or knows, that there is no session. */
export const isSignedOut = () => notice === 'gone';

/** Notes that the page on screen was sent without a session, so that nobody need be told. */
export const noteSignedOut = () => {
	notice = 'gone';
	isCancelled = true;
};

/** @type {(step: Step) => typeof notice} */
const nextNotice = ({ gone, otherUser, end, reason }) => {
	if (gone) return 'gone';
	if (otherUser) return 'user';
	// Past the end nobody knows better until the server has spoken.
	return end > Date.now() ? reason : notice;
};

/** @type {(step: Step) => boolean} */
const dispatchNotice = ({ end, reason }) => {
	if (notice === 'gone') return dispatch('keepalive:expired', { reason, ms: 0 });
	if (notice === 'user') return dispatch('keepalive:user');
	if (notice) return dispatch('keepalive:warning', { reason: notice, ms: end - Date.now() });
	return dispatch('keepalive:resumed');
};

/**
 * @typedef {KeepaliveState & {notice: string, pending: boolean}} View what dialog.js shows: notice is the id of the dialog, ''
 * for none; pending says that the user has chosen to stay, and the server has not answered yet
 *
 * @typedef {object} Actions
 * @property {() => void} stay
 * @property {() => void} look
 * @property {() => void} tick
 * @property {typeof dispatch} dispatch
 * @property {symbol} guard what the script has left in a window where it runs
 * @property {false|((event: Event) => void)} onInput counts an event; false where input means nothing
 */

/**
 * Shows what there is to show, and takes the rest off the page.
 * @type {(step: Step, actions: Actions) => string}
 */
export const draw = (step, actions) => {
	// Guests see no dialogs. A listener may have called keepalive.stop().
	const shown = isCancelled || config.user === '' || !takesPart() ? '' : notice;
	loadedDialogs()?.update({ ...step, notice: shown + (shown === 'gone' ? step.reason : ''), pending: tab.stay > 0 }, actions);
	return shown;
};

/**
 * Tells the user what has changed.
 * @type {(step: Step, actions: Actions) => void}
 */
export const announce = (step, actions) => {
	const { gone } = step;
	const previous = notice;
	notice = nextNotice(step);
	const isNews = notice !== previous;
	if (isNews && gone && config.blank) removeContent(); // before any listener of the page
	updateSignal(gone);
	tellState(step);
	if (isNews) {
		// What the page knows may belong to the session before.
		if (previous === 'gone') tab.look = true;
		isCancelled = !dispatchNotice(step);
	}
	if (!gone && !tab.look) hidePage(false);
	const shown = draw(step, actions);
	// Where there may be a warning they are loaded at once, so that it appears even if the server can't be reached. They also
	// know more kinds of input.
	if (shown || config.warn || actions.onInput) loadDialogs(actions.tick);
	// A page without content has nothing to go on with.
	if (gone && config.blank && (loadedDialogs() || !shown)) tab.stopped = true;
};
