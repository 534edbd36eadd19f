const $ = (selector) => document.querySelector(selector);
const views = [...document.querySelectorAll('[data-view]')];
let user = ''; // who is signed in, as far as this page knows; '' for nobody

// Calls the server and returns its state. Without a body it is a GET.
const call = async (name, body) => {
	const response = await fetch('/api/' + name, body && {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify(body),
	});
	if (response.ok) return response.json();
	throw Object.assign(new Error(await response.text()), { status: response.status });
};

// Which view to show for what stands behind # in the address.
const viewFor = (name) => {
	if (name === 'note' && !user) return 'sign-in';
	if (name === 'sign-in' && user) return 'home';
	return views.some((view) => view.dataset.view === name) ? name : 'home';
};

const showView = () => {
	const current = viewFor(location.hash.slice(1));
	for (const view of views) view.hidden = view.dataset.view !== current;
	for (const link of document.querySelectorAll('nav a'))
		if (link.hash === '#' + current) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
};

const showState = (state) => {
	// What the same user is typing stays; what another user has typed must not.
	if (state.user !== user) $('#text').value = state.note;
	user = state.user;
	$('#user').textContent = user;
	$('#sign-out-form').hidden = !user;
	$('#sign-in-link').hidden = !!user;
	$('#message').textContent = '';
	showView();
};

// Tells keepalive that a session has begun or ended without a page load. It tells the other tabs.
const check = () => document.dispatchEvent(new Event('keepalive:check', { bubbles: true }));

const onSubmit = (form, action) =>
	$(form).addEventListener('submit', async (event) => {
		event.preventDefault();
		try {
			await action();
		} catch (error) {
			const ended = error.status === 401;
			$('#message').textContent = ended ? 'Not saved: your session has ended.' : `That did not work: ${error.message}`;
			if (ended) check(); // keepalive shows how to go on
		}
	});

onSubmit('#sign-in-form', async () => {
	showState(await call('login', { user: $('#name').value }));
	check();
});

onSubmit('#sign-out-form', async () => {
	showState(await call('logout', {}));
	check();
});

onSubmit('#save', async () => {
	showState(await call('note', { note: $('#text').value }));
	$('#message').textContent = 'Saved.';
});

const report = (name, describe) =>
	document.addEventListener('keepalive:' + name, (event) => {
		$('#state').textContent = `${new Date().toLocaleTimeString()} ${name}: ${describe(event.detail)}`;
	});

report('ping', (detail) => `the session had ${Math.round(detail.idleMs / 1000)} s left.`);
report('warning', () => 'the session is about to end.');
report('expired', () => 'the session has ended.');
report('resumed', () => 'there is a session.');

document.addEventListener('keepalive:expired', (event) => {
	if (!user) event.preventDefault(); // the user has just signed out and needs no dialog
});

// Somebody has signed in, here or in another tab; it may be another user. If that session has ended too by now, what was typed
// stays.
document.addEventListener('keepalive:resumed', async () => {
	const state = await call('me');
	if (state.user) showState(state);
});

addEventListener('hashchange', showView);
call('me').then(showState);
