// main.js holds the parts together: it starts them, wakes up, and lets each tick do what the plan says.
// It is given the events of the page and the timer.
// It never decides what to ask or to tell: plan.js and notice.js do.
//
// An open page keeps its session's idle timeout from firing. What a page can see of that, window.keepalive and the
// events, is described in keepalive.d.ts. How the parts hang together: each tick, plan.js decides by the record that the
// tabs share (record.js) and by what this tab wants (tab.js); notice.js tells the user; ask.js asks the server.
// keepalive.debug.js logs each decision with its reason.

import { isInputWanted, lastInput, listenForInput, noteActive, onInput } from './activity.js';
import { currentSignal, dispatch, guard, publish, runningHere, subscribe } from './api.js';
import { ask } from './ask.js';
import { hidePage } from './blank.js';
import { config, script, sharedKey } from './config.js';
import { page } from './dom.js';
import { updateExtras } from './loader.js';
import { announce, draw, isSignedOut, isUserAsked, noteSignedOut } from './notice.js';
import { isComeback, requestedAt, visit } from './pageload.js';
import { forgetReport, reportPage, watchPage } from './presence.js';
import { readRecord, savePageLoad, saveUser, updateClaimed, updateRecord, writeRecord } from './record.js';
import { decide, tab, takesPart } from './tab.js';
import { LONGEST_LOAD, MAX_SLEEP } from './times.js';

/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

const tick = () => {
	if (!takesPart()) return;
	try {
		announce(decide(), actions);
		updateExtras(actions);
		if (__PRESENCE__ && !isSignedOut()) reportPage();
	} finally {
		// Whatever an engine lacks must not cost the session its next ping.
		const step = decide(); // again, as announce and the listeners of its events may want something now
		if (__DEBUG__) console.debug('keepalive:', step.ask || 'wait', step.why, step, readRecord());
		if (step.ask && takesPart()) ask(tick, halt);
		clearTimeout(timer);
		// The page of a session that is gone waits for somebody to come back.
		if (step.until < Infinity) timer = setTimeout(tick, Math.min(step.until - Date.now(), MAX_SLEEP));
	}
};

const wake = () => {
	tab.woken = Date.now();
	tick();
};

const onOnline = () => {
	tab.online = Date.now();
	tick();
};

const stay = () => {
	tab.stay++;
	wake();
};

/** Asks again, in a page that may have stopped. */
const look = () => {
	tab.look = true;
	tab.stopped = false;
	tick();
};

/**
 * Asks after the app has signed in or out. What the tabs know may be of another session, so all of them forget it, and this
 * page forgets whose session it was loaded with.
 */
const check = () => {
	config.user = undefined;
	writeRecord({ input: lastInput() });
	if (__PRESENCE__) forgetReport();
	look();
};

const stop = () => {
	tab.stopped = true;
	draw(decide(), actions);
};

/**
 * Stops, as only a change of the server's configuration helps.
 * @param {string} reason
 */
const halt = (reason) => {
	console.error('keepalive stopped:', reason);
	stop();
};

/** @type {import('./notice.js').Actions & import('./extras.js').Core} what the modules need that are loaded later */
const actions = { stay, look, tick, dispatch, guard, onInput: isInputWanted && onInput, config, tab, read: readRecord, update: updateRecord, halt };

const onPageHide = () => {
	// For when it comes back: somebody may have signed out meanwhile, and visibilitychange may precede pageshow.
	tab.look = true;
	updateClaimed({}); // or the next page would wait for an answer that nobody gets
	hidePage(takesPart());
};

const onVisibilityChange = () => (page.hidden ? tick() : wake());

/** @param {StorageEvent} event */
const onStorage = ({ key }) => {
	if (key === sharedKey) tick();
};

/**
 * Listens to the page. All functions are always the same, so that listening again adds nothing. document.open() has
 * removed every listener when the script runs again.
 */
const listen = () => {
	// First, as a page that is shown again has to know that before the tick.
	if (__PRESENCE__ && config.presence) watchPage(tick);
	addEventListener('pageshow', tick);
	addEventListener('pagehide', onPageHide);
	addEventListener('visibilitychange', onVisibilityChange);
	addEventListener('focus', wake);
	addEventListener('resume', wake);
	addEventListener('online', onOnline);
	// These two do not bubble up to the window.
	addEventListener('prerenderingchange', tick, true);
	addEventListener('keepalive:check', check, true);
	addEventListener('storage', onStorage);
	// While the user is asked, input changes nothing: the dialog must not go under a click.
	listenForInput(isUserAsked, tick);
};

/** Counts the page's load as an answer of the server, if it is one, and returns when the page was requested, or 0. */
const countPageLoad = () => {
	tab.sureAt = Date.now();
	// At the load, which may come after a sleep, the clock of performance may be behind by that.
	const at = Math.min(requestedAt(visit()), tab.opened);
	if (at) {
		saveUser(at);
		if (!('passive' in config)) savePageLoad(at);
		tab.opened = at;
		tab.woken = 0; // the page is as young as what it knows
	}
	return at;
};

/** Takes what the page's load says of the session. */
const takePageLoad = () => {
	const isCounted = countPageLoad();
	// What the tabs know of an end may be of a session before this one, or of a clock that has been set back since. A worker's
	// cache may have had the page.
	const { gone = 0, at = 0 } = readRecord();
	tab.look = isComeback(visit()) || gone > at;
	hidePage(tab.look);
	if (isCounted) return;
	// Firefox often knows only at its load that the page came from the server.
	tab.sureAt = Date.now() + LONGEST_LOAD;
	addEventListener('load', countPageLoad); // pageshow follows
};

/**
 * Takes note that the script ran again in this window: after soft navigation (Turbo), or in a page written anew. The server
 * sent it once more, so the page that is on screen has a session, or has none, whatever was known before.
 * @param {import('./config.js').Config} fresh
 */
const runAgain = (fresh) => {
	listen();
	if ('anonymous' in fresh) {
		noteSignedOut();
		stop();
	} else {
		if (isSignedOut()) check();
		config.user = fresh.user;
		saveUser(Date.now());
		tick();
	}
};

const methods = {
	stay,
	look: check,
	stop,
	active: noteActive,
	/** @param {(state: KeepaliveState) => void} listener */
	subscribe: (listener) => subscribe(listener, decide()),
	get state() {
		return decide();
	},
	get signal() {
		return currentSignal();
	},
	get user() {
		return config.user;
	},
};

const start = () => {
	publish(methods, runAgain);
	listen();
	if (tab.stopped) {
		noteSignedOut();
		// The other tabs may believe in a session: let them ask.
		if (decide().end > Date.now()) writeRecord({});
	} else {
		takePageLoad();
	}
	tick();
};

// Soft navigation runs only elements that the page has not got, so this one goes.
script.remove();
const running = runningHere();
if (running) running(config);
// A sandboxed frame has no cookies, so it has no session either.
else if (origin !== 'null') start();
