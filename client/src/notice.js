// notice.js decides what the user is told: that the session is about to end, has ended, or is there again.
// It is given each step of the plan, and what to do when the user answers the warning.
// It never asks the server, and never draws: the events go through api.js, the dialogs through dialog.js,
// which loader.js loads.

/** @import { Step } from './plan.js' */

import { dispatch, runningIn } from './api.js';
import { config, endpoint } from './config.js';
import { loadDialogs, loadedDialogs } from './loader.js';
import { setLook, stopTab, takesPart } from './tab.js';

/** @type {''|KeepaliveEnd|'gone'} what the user was told last, or knows: a page without a session was sent as such */
let notice = config.anonymous ? 'gone' : '';
// A dialog is due from its event on until it is drawn, for which the document with the dialogs must have come.
let isDialogDue = false;

/** Reports whether the user has been asked, by the dialog or by the app, and has not answered yet. */
export const isUserAsked = () => notice !== '' && !isDialogDue;

/** Reports whether the user was told, or knows, that there is no session. */
export const isSignedOut = () => notice === 'gone';

export const isDialogOpen = () => Boolean(loadedDialogs()?.isDialogOpen());

/** Takes a dialog off the page. */
export const dismissNotice = () => {
	isDialogDue = false;
	loadedDialogs()?.closeDialog();
};

/** Notes that the page on screen is one without a session, so that nobody need be told. */
export const noteSignedOut = () => {
	notice = 'gone';
	dismissNotice();
};

/**
 * Loads the dialogs, as long as the server can be reached.
 * @param {() => void} onLoad
 */
export const prepareDialogs = (onLoad) => loadDialogs(endpoint('dialog') + '?' + document.documentElement.lang, onLoad);

/** A page in a frame leaves the dialogs to the page around it, if that runs the script too. */
const isShownByParent = () => Boolean(frameElement && runningIn(parent));

const removeContent = () => {
	document.body?.remove();
	document.title = location.host;
};

/** @type {(step: Step, ms: number) => typeof notice} */
const nextNotice = ({ gone, reason }, ms) => {
	if (gone) return 'gone';
	// Past the end nobody knows better until the server has spoken.
	return ms > 0 ? reason : notice;
};

/** @type {(step: Step, ms: number) => void} */
const dispatchNotice = ({ gone, reason }, ms) => {
	if (gone) {
		isDialogDue = dispatch('keepalive:expired', { reason, ms: 0 });
		if (isDialogDue && config.blank) removeContent();
	} else if (reason) {
		isDialogDue = dispatch('keepalive:warning', { reason, ms });
	} else {
		dispatch('keepalive:resumed');
	}
	isDialogDue &&= takesPart(); // a listener may have called keepalive.stop()
};

/** @type {(step: Step, tick: () => void, stay: () => void) => void} */
const drawDialog = ({ gone, reason }, tick, stay) => {
	const dialogs = loadedDialogs();
	if (!dialogs) return prepareDialogs(tick);
	isDialogDue = false;
	dialogs.openDialog(notice + (gone ? reason : ''), stay, () => dispatch('keepalive:logout'));
	if (gone && config.blank) stopTab(); // there is nothing left to go on with
};

/**
 * Tells the user what has changed.
 * @type {(step: Step, tick: () => void, stay: () => void) => void}
 */
export const announce = (step, tick, stay) => {
	const ms = step.end - Date.now();
	const previous = notice;
	notice = nextNotice(step, ms);
	if (notice !== previous) {
		dismissNotice();
		// What the page knows may belong to the session before.
		if (!notice) setLook(previous === 'gone');
		dispatchNotice(step, ms);
	}
	if (isDialogDue && !isShownByParent()) drawDialog(step, tick, stay);
	if (isDialogOpen() && !step.gone) loadedDialogs()?.showTimeLeft(ms, step.failing);
};
