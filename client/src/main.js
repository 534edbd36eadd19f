// main.js holds the parts together: it starts them, wakes up, and lets each tick do what the plan says.
// It is given the events of the page and the timer.
// It never decides what to ask or to tell: plan.js and notice.js do.
//
// An open page keeps its session's idle timeout from firing. What a page can see of that, window.keepalive and the
// events, is described in keepalive.d.ts. How the parts hang together: each tick, plan.js decides by the record that the
// tabs share (record.js) and by what this tab wants (tab.js); notice.js tells the user; ask.js asks the server.
// keepalive.debug.js logs each decision with its reason.

import { followFrames, lastInput, listenForInput, noteActive } from './activity.js';
import { publish, runningIn } from './api.js';
import { ask } from './ask.js';
import { config, pingURL, script, sharedKey } from './config.js';
import { announce, dismissNotice, isDialogOpen, isSignedOut, isUserAsked, noteSignedOut, prepareDialogs } from './notice.js';
import { isComeback, pageRequestedAt } from './pageload.js';
import { forgetReport, reportPage, watchPage } from './presence.js';
import { readRecord, savePageLoad, writeRecord } from './record.js';
import { awaitSession, decide, forgetReturn, noteReturn, setLook, setStay, startTab, stopTab, takesPart } from './tab.js';
import { MAX_SLEEP, SECOND } from './times.js';

/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

const tick = () => {
	if (!takesPart()) return;
	try {
		announce(decide(), tick, stay);
	} catch {} // an engine that lacks what dialogs need keeps the session all the same
	if (!takesPart()) return;
	const step = decide(); // again, as announce and the listeners of its events may want something now
	if (__DEBUG__) console.debug('keepalive:', step.ask || 'wait', step.why, step, readRecord());
	if (step.gone) return;
	followFrames();
	if (__PRESENCE__) reportPage();
	if (step.ask) ask(tick, halt);
	clearTimeout(timer);
	timer = setTimeout(tick, Math.min(step.until - Date.now(), isDialogOpen() ? SECOND : MAX_SLEEP));
};

const wake = () => {
	noteReturn();
	tick();
};

const stay = () => {
	setStay(true);
	wake();
};

const look = () => {
	startTab();
	setLook(true);
	if (__PRESENCE__) forgetReport();
	// What the tabs know may be of another session, so all of them forget it.
	writeRecord({ input: lastInput() });
	tick();
};

const stop = () => {
	stopTab();
	dismissNotice();
};

/**
 * Stops, as only a change of the server's configuration helps.
 * @param {string} reason
 */
const halt = (reason) => {
	console.error('keepalive stopped:', reason);
	stop();
};

const listen = () => {
	// First, as a page that is shown again has to know that before the tick.
	if (__PRESENCE__ && config.presence) watchPage(tick);
	addEventListener('pageshow', (event) => (event.persisted ? wake() : tick()));
	addEventListener('visibilitychange', () => (document.hidden ? tick() : wake()));
	for (const type of ['focus', 'online', 'resume']) addEventListener(type, wake);
	document.addEventListener('prerenderingchange', tick);
	document.addEventListener('keepalive:check', look);
	addEventListener('storage', (event) => {
		if (event.key === sharedKey) tick();
	});
	addEventListener('securitypolicyviolation', (event) => {
		if (event.blockedURI === pingURL && event.disposition === 'enforce') halt('connect-src');
	});
	// While the user is asked, input changes nothing: the dialog must not go under a click.
	listenForInput(isUserAsked, tick);
};

/** Counts the page's load as an answer of the server, and reports whether it is one. */
const countPageLoad = () => {
	const requestedAt = pageRequestedAt();
	if (requestedAt && savePageLoad(requestedAt)) forgetReturn();
	return requestedAt > 0;
};

/** Takes what the page's load says of the session. */
const takePageLoad = () => {
	if (config.anonymous) {
		// The other tabs may believe in a session: let them ask.
		if (decide().end > Date.now()) writeRecord({});
	} else if (!countPageLoad()) {
		// Firefox often knows only later that the page came from the server. Until then the page must not believe that
		// the session before this one is still gone.
		if (decide().gone && !isComeback()) look();
		addEventListener('load', () => countPageLoad() && tick());
	}
};

/**
 * Takes note that soft navigation (Turbo) ran the script again in this window: the server sent it once more, so the page
 * that is on screen has a session, or has none, whatever was known before.
 * @param {boolean} anonymous
 */
const runAgain = (anonymous) => {
	if (anonymous) {
		awaitSession();
		noteSignedOut();
	} else if (isSignedOut()) look();
};

const methods = {
	stay,
	look,
	stop,
	active: noteActive,
	get state() {
		return decide();
	},
};

const start = () => {
	publish(methods, runAgain);
	listen();
	takePageLoad();
	if (config.warn) prepareDialogs(tick);
	tick();
};

// Soft navigation runs only elements that the page has not got, so this one goes.
script.remove();
const running = runningIn(window);
if (running) running(config.anonymous);
else start();
