// A page that uses all of keepalive.d.ts, as the documentation shows it. It is compiled and never run.

document.addEventListener('keepalive:ping', ({ detail }) => {
	const left: number = Math.min(detail.idleMs, detail.lifetimeMs);
	console.log(left, detail.data, detail.path);
});

document.addEventListener('keepalive:warning', (event) => {
	event.preventDefault();
	const end: KeepaliveEnd = event.detail.reason;
	const text = { idle: 'Are you still there?', lifetime: 'Please save your work.' }[end];
	if (confirm(`${text} ${event.detail.ms / 1000} s`)) keepalive.stay();
});

document.addEventListener('keepalive:expired', ({ detail }) => {
	const reason: KeepaliveEnd | '' = detail.reason;
	location.href = '/login?' + new URLSearchParams({ reason });
});

addEventListener('DOMContentLoaded', () => {
	document.addEventListener('keepalive:resumed', ({ detail }) => {
		const whose: KeepaliveSource = detail;
		if (whose.path === '/admin/keepalive/') console.log('signed in again');
	});
	document.addEventListener('keepalive:logout', (event) => event.preventDefault());
});

// All of them bubble from document to window.
addEventListener('keepalive:user', ({ detail }) => console.log(detail.path, keepalive.user));
document.addEventListener('keepalive:hold', (event) => {
	const form: HTMLFormElement = event.detail.form;
	if (form.matches('.draft')) event.preventDefault();
});
addEventListener('keepalive:state', ({ detail }) => {
	const state: KeepaliveState & KeepaliveSource = detail;
	console.log(state.gone, state.path);
});

document.dispatchEvent(new Event('keepalive:check'));

const { gone, end, reason, failing, input, ask, until, otherUser }: KeepaliveState = keepalive.state;
console.log(gone, failing, otherUser, reason === 'idle', ask === 'POST', new Date(Math.min(end, input, until)));

const unsubscribe: () => void = keepalive.subscribe((state) => console.log(state.gone ? 'signed out' : 'signed in'));
const poll = (signal: AbortSignal) => fetch('/news', { signal });
poll(keepalive.signal).finally(unsubscribe);

const user: string | undefined = window.keepalive?.user;
console.log(user === '' ? 'a guest' : user);
window.keepalive?.active();
window.keepalive?.look();
window.keepalive?.stop();
window.keepalive?.active();

// @ts-expect-error: a page reads the state and does not write it
keepalive.state.gone = false;
document.addEventListener('keepalive:logout', ({ detail }) => {
	// @ts-expect-error: it says whose it is, and nothing else
	console.log(detail.path, detail.reason);
});
// @ts-expect-error: there is no such reason
const unknown: KeepaliveEnd = 'logout';
console.log(unknown);
