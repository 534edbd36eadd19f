// dialog.js shows one dialog at a time, and after the end the bar, and holds forms back that would be lost.
// It is given what to show, by notice.js, and what to do when the user answers.
// It never decides whether the user is told. It is a script of its own, so it imports no module that has state of the main
// script, and what it exports is a contract: after an update, a page with the script of before loads it.

/** @import { Actions, View } from './notice.js' */

import { page } from './dom.js';
import { formatDuration } from './duration.js';
import { windowAround } from './frames.js';
import { wouldBeLost } from './hold.js';
import { find, hide, isOnPage, place, show, shownPart } from './host.js';
import { followInput } from './input.js';
import { listenBefore, pressEscape } from './shield.js';
import { LAST_SPEECH, SECOND, SPEECH_INTERVAL } from './times.js';
import { folder, get, loadedWords, loadWords } from './words.js';

/** A spoken text is taken away after this, or it would be found in the page when it is no longer true. */
const SPEECH_TIME = 5_000;

/** @type {View} */
let view;
/** @type {Actions} */
let actions;
/** The notice that the user gets. */
let notice = '';
/** What is shown: the id of an element of the document. */
let shownId = '';
/** Whether the user has closed the dialog of this notice. */
let isClosed = false;
/** @type {WeakSet<EventTarget>} the forms that were held back once */
let heldForms = new WeakSet();
let pendingSince = 0;
let speech = '';
/** @type {ReturnType<typeof setTimeout>|undefined} */
let clock;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let speechTimer;

/** Reports whether a dialog is open. */
export const isOpen = () => Boolean(shownPart()?.showModal);

/** @param {string} id */
const isEnd = (id) => id.startsWith('gone');

/** Says what is written, to those who do not see it. */
const speak = () => {
	const status = find('[role=status]');
	if (!status) return;
	/** @type {NodeListOf<HTMLElement>|undefined} */
	const texts = shownPart()?.querySelectorAll('p[part]:not([hidden])');
	status.textContent = Array.from(texts ?? [], ({ innerText }) => innerText).join(' ');
	clearTimeout(speechTimer);
	speechTimer = setTimeout(() => status.replaceChildren(), SPEECH_TIME);
};

/**
 * Shows in the open dialog how much time is left, and what becomes of the user's answer: each second for the eye, now and
 * then for the ear.
 */
const showProgress = () => {
	const { end, failing, pending } = view;
	const now = Date.now();
	const left = end - now;
	find('time').textContent = formatDuration(Math.max(1, Math.ceil(left / SECOND)), shownPart()?.lang ?? '');
	find('#text>:first-child').hidden = left <= 0;
	find('#text>:last-child').hidden = left > 0;
	find('[part=offline]').hidden = !failing;
	const stay = /** @type {HTMLButtonElement|undefined} */ (find('[name=stay]'));
	const isBusy = pending && !failing;
	pendingSince = isBusy ? pendingSince || now : 0;
	const isLong = isBusy && now - pendingSince >= SECOND;
	if (stay) {
		if (isBusy && !stay.disabled) shownPart()?.focus(); // a disabled button would lose the focus to the page
		stay.disabled = isBusy;
		stay.setAttribute('aria-busy', String(isBusy));
		find('[part=wait]').hidden = !isLong;
	}

	const news = [left > LAST_SPEECH ? Math.ceil(left / SPEECH_INTERVAL) : left > 0, failing, isLong].join();
	if (speech && speech !== news) speak(); // what is there at first is the dialog's description
	speech = news;
};

/** @param {boolean} closed whether the dialog makes way for the bar */
const setClosed = (closed) => {
	isClosed = closed;
	draw();
};

/** @param {string} name the button's */
const press = (name) => {
	if (name === 'stay') actions.stay();
	if (name === 'reload') location.reload();
	if (name === 'close') setClosed(true);
};

/** What this script leaves in the window: for pages that may not import it, and for frames that hold a form back. */
const key = Symbol.for(folder + 'dialog');

/** Reports whether the session has ended and the app wants what follows from that. @param {Document} words */
const leavesBar = (words) => isEnd(notice) && words.documentElement.dataset.after !== 'nobar';

/** Holds a form back, once, and says again why. @param {Event} event */
const onSubmit = (event) => {
	const target = /** @type {HTMLFormElement} */ (event.target);
	const words = loadedWords();
	if (!words || !(notice === 'user' || leavesBar(words))) return;
	if (heldForms.has(target) || !wouldBeLost(/** @type {SubmitEvent} */ (event), words)) return;
	heldForms.add(target);
	if (!actions.dispatch('keepalive:hold', { form: target })) return;
	event.preventDefault();
	event.stopImmediatePropagation();
	Reflect.get(windowAround(actions.guard) ?? window, key)?.setClosed(false);
};

/** document.open() takes all listeners away. Where they are there, this adds none. */
const listen = () => {
	listenBefore(press);
	addEventListener('submit', onSubmit, true);
};

/** @type {(id: string, words: Document) => void} */
const showOnce = (id, words) => {
	// One that was removed has lost its listeners, if document.open() did it.
	if (id === shownId && isOnPage()) return place();
	const template = words.getElementById(id);
	shownId = id;
	if (!template) return hide();
	speech = '';
	const part = show(template, words.head.textContent ?? '', draw);
	// Escape where no key says so, as Android's back gesture. Browsers close a dialog at once, without cancel, where the user
	// has done nothing in the page yet.
	part.oncancel = part.onclose = (event) => {
		event.preventDefault();
		const isReopened = event.type === 'close' && part.open;
		if (part !== shownPart() || isReopened) return;
		pressEscape();
		place();
	};
	part.onsubmit = (event) => {
		if (!actions.dispatch('keepalive:logout')) event.preventDefault();
	};
};

/**
 * Does what follows the end with BlankPage and OpenLogin, by a module that only their pages load. Where it can't be loaded,
 * the dialog is there.
 * @type {(words: Document) => Promise<void>}
 */
const goOn = async (words) => {
	try {
		/** @type {typeof import('./after.js')} */
		const after = await import(folder + 'after.js');
		after.goOn(words, get, actions.look);
	} catch {} // the browser says why in the console
};

const draw = () => {
	listen();
	// Why the session has ended does not change any more.
	if (!isEnd(notice) || !isEnd(view.notice)) {
		if (notice !== view.notice) isClosed = false;
		notice = view.notice;
	}
	// While a page is written anew, there may be nothing in it yet.
	if (!notice || !page.documentElement) {
		heldForms = new WeakSet();
		shownId = '';
		return hide();
	}
	const words = loadedWords();
	if (!words) {
		loadWords(draw);
		return;
	}
	if (windowAround(actions.guard)) return; // which shows it
	const remainder = leavesBar(words) ? 'bar' : '';
	showOnce(isClosed ? remainder : notice, words);
	if (find('time')) showProgress();
	const { after } = words.documentElement.dataset;
	if (isEnd(notice) && (after === 'login' || after === 'blank')) goOn(words);
	clearTimeout(clock);
	if (isOpen()) clock = setTimeout(actions.tick, SECOND);
};

/**
 * Shows what there is to show now, and takes the rest off the page.
 * @type {(view: View, actions: Actions) => void}
 */
export const update = (newView, newActions) => {
	view = newView;
	actions = newActions;
	if (actions.onInput) followInput(actions.onInput);
	// With a warning to come, the document is there before the network may fail.
	if (!loadedWords()) loadWords(draw);
	draw();
};

listen();
Reflect.set(window, key, { isOpen, update, setClosed });
