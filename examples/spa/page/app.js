const $ = (selector) => document.querySelector(selector);
const views = [...document.querySelectorAll('[data-view]')];
let user = ''; // who is signed in, as far as this page knows

// Without a body it is a GET.
const call = async (name, body) => {
	const response = await fetch('/api/' + name, body && {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(body),
	});
	if (response.ok) return response.json();
	throw Object.assign(new Error(await response.text()), { status: response.status });
};

const route = () => {
	let place = location.hash.slice(1);
	if (!views.some((view) => view.dataset.view === place) || (user && place === 'sign-in')) place = 'home';
	if (!user && place === 'note') place = 'sign-in';
	for (const view of views) view.hidden = view.dataset.view !== place;
	for (const link of document.querySelectorAll('nav a'))
		if (link.hash === '#' + place) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
};

const show = (me) => {
	// What the same user is typing stays; what another has typed must not.
	if (me.user !== user) $('#text').value = me.note;
	user = me.user;
	$('#user').textContent = user;
	$('#leave').hidden = !user;
	$('#offer').hidden = !!user;
	$('#message').textContent = '';
	route();
};

// A session has begun or ended without a page load. The other tabs hear of it by this as well.
const check = () => document.dispatchEvent(new Event('keepalive:check', { bubbles: true }));

const submit = (id, action) =>
	$(id).addEventListener('submit', async (event) => {
		event.preventDefault();
		try {
			await action();
		} catch (error) {
			$('#message').textContent = error.status === 401 ? 'Not saved: your session has ended.' : `That did not work: ${error.message}`;
			if (error.status === 401) check(); // keepalive says how to go on
		}
	});

submit('#enter', async () => {
	show(await call('login', { user: $('#name').value }));
	check();
});

submit('#leave', async () => {
	show(await call('logout', {}));
	check();
});

submit('#save', async () => {
	show(await call('note', { note: $('#text').value }));
	$('#message').textContent = 'Saved.';
});

const report = (name, words) =>
	document.addEventListener('keepalive:' + name, (event) => {
		$('#state').textContent = `${new Date().toLocaleTimeString()} ${name}: ${words(event.detail)}`;
	});

report('ping', (detail) => `the session had ${Math.round(detail.idleMs / 1000)} s left.`);
report('warning', () => 'the session is about to end.');
report('expired', () => 'the session has ended.');
report('resumed', () => 'there is a session.');

document.addEventListener('keepalive:expired', (event) => {
	if (!user) event.preventDefault(); // this page has just signed out, so there is nothing to tell
});

// Somebody has signed in, here or in another tab, and perhaps somebody else. If that is over already, what was typed stays.
document.addEventListener('keepalive:resumed', async () => {
	const me = await call('me');
	if (me.user) show(me);
});

addEventListener('hashchange', route);
call('me').then(show);
