// What a page can see of keepalive.js. Times are in milliseconds.

/** Which end of a session is meant. The server enforces both; pings move the idle end and never the lifetime's. */
type KeepaliveEnd = 'idle' | 'lifetime';

/** What the script knows and is about to do. */
interface KeepaliveState {
	/** The server said that there is no session; nothing is asked until one begins. */
	readonly gone: boolean;
	/** When the session ends if nothing extends it, as Date.now() counts; 0 where unknown. Over HTTPS, the app's requests move it. */
	readonly end: number;
	/** Which end is nearer than Config.WarnBefore. Of a session that is gone: which had passed, '' when neither had. */
	readonly reason: KeepaliveEnd | '';
	/** The last question got no answer that counts. */
	readonly failing: boolean;
	/** When somebody last used a page of this browser; 0 for never. Known with UserActive, MaxUnattended and PresenceIdle only. */
	readonly input: number;
	/** What is asked next: POST extends, GET looks, '' is nothing now. */
	readonly ask: 'POST' | 'GET' | '';
	/** When the script thinks again at the latest; Infinity where only somebody who comes back, or the app, can want that. */
	readonly until: number;
	/** Another user has signed in, in another tab, since this page was loaded. Known with Config.Identify only. */
	readonly otherUser: boolean;
}

interface Keepalive {
	/**
	 * Extends the session now, as the warning's button does. It tries again until there is an answer. After stop(), and after
	 * a fault of the configuration that stands in the console, it does nothing.
	 */
	stay(): void;
	/**
	 * Asks now whether there is a session, and extends nothing. For apps that sign in or out without loading a page; the
	 * event keepalive:check does the same. It also starts again what stop() has stopped.
	 */
	look(): void;
	/** Ends all pings and dialogs of this page. Other tabs go on. */
	stop(): void;
	/**
	 * Counts as input now, for apps that know better than the events of the page: games, video, sound that is heard. As
	 * with all input, it does not answer a warning.
	 */
	active(): void;
	/**
	 * Calls listener at once, and each time gone, end, reason, failing or otherUser has changed. It returns a function that
	 * ends this. The event keepalive:state says the same.
	 */
	subscribe(listener: (state: KeepaliveState) => void): () => void;
	/** A new object each time. To compare, keep what subscribe passes. */
	readonly state: KeepaliveState;
	/** Aborts at the session's end, so that an app's own polling stops by itself. After a new sign-in it is another signal. */
	readonly signal: AbortSignal;
	/**
	 * A stamp of whom the server sent this page to, '' for a guest. It is undefined without Config.Identify, and after
	 * the event keepalive:check.
	 */
	readonly user: string | undefined;
}

/** What the events say in any case. */
interface KeepaliveSource {
	/** Whose event it is, for pages with the scripts of several Managers: the path of the endpoints, such as "/keepalive/". */
	readonly path: string;
}

/** The answer to a ping or a look. */
interface KeepaliveAnswer {
	/** Until the session ends if nothing extends it. */
	readonly idleMs: number;
	/** Until it ends in any case. */
	readonly lifetimeMs: number;
	/** Set where the server does not know how long the session will last, as after a restart: idleMs is a cautious guess. */
	readonly unknown?: boolean;
	/** What Config.Payload returned. It comes to the tab that asked, and to no other. */
	readonly data?: any;
}

/** All are dispatched on document and bubble to window, except keepalive:check, which the app dispatches. */
interface KeepaliveEventMap {
	/** The server answered this tab. */
	'keepalive:ping': CustomEvent<KeepaliveAnswer & KeepaliveSource>;
	/**
	 * Less than Config.WarnBefore is left. In every tab, once, and again only after the session was extended. Cancelled,
	 * no dialog comes. Until keepalive:resumed, input in the page extends nothing: stay() does.
	 */
	'keepalive:warning': CustomEvent<{ readonly reason: KeepaliveEnd; readonly ms: number } & KeepaliveSource>;
	/**
	 * The server said twice, a second apart, that the session has ended. In every tab, once for each end. Cancelled, no
	 * dialog comes. With Config.AfterEnd = BlankPage the page has lost its content before.
	 */
	'keepalive:expired': CustomEvent<{ readonly reason: KeepaliveEnd | ''; readonly ms: 0 } & KeepaliveSource>;
	/**
	 * Another user has signed in, in another tab, so that this page's forms would be sent as theirs. With Config.Identify, in
	 * pages of users. Cancelled, no dialog comes and no form is held back.
	 */
	'keepalive:user': CustomEvent<KeepaliveSource>;
	/**
	 * A form is held back, once, because what it sends would be lost, or sent as another user. Cancelled, it is sent.
	 */
	'keepalive:hold': CustomEvent<{ readonly form: HTMLFormElement } & KeepaliveSource>;
	/** A warning is over, because the session was extended, or a session is there again. A new answer follows soon. */
	'keepalive:resumed': CustomEvent<KeepaliveSource>;
	/** gone, end, reason, failing or otherUser of keepalive.state has changed. */
	'keepalive:state': CustomEvent<KeepaliveState & KeepaliveSource>;
	/** The dialog's sign-out button was pressed. Cancelled, nothing is sent to Config.LogoutURL. */
	'keepalive:logout': CustomEvent<KeepaliveSource>;
	/** Dispatched by the app, which has signed in or out without loading a page: look() and forget the user of the page. */
	'keepalive:check': Event;
}

interface DocumentEventMap extends KeepaliveEventMap {}

interface WindowEventMap extends KeepaliveEventMap {}

interface Window {
	readonly keepalive?: Keepalive;
}

/**
 * There from when the page's deferred scripts run, in pages that have the script. It is the first script's where a page has
 * several, and absent where the page had a global of this name before.
 */
declare const keepalive: Keepalive;
