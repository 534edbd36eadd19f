// What an app does by hand once somebody is signed out: a bar that says so, and a form that is held back.

const bar = document.createElement('p');
bar.className = 'note bad';
bar.id = 'expired';
bar.tabIndex = -1;
bar.setAttribute('role', 'alert');
bar.hidden = true;
document.querySelector('main').prepend(bar);

// A user can close the dialog of keepalive, to read and copy; this message stays.
document.addEventListener('keepalive:expired', () => {
	const link = document.createElement('a');
	link.href = '/';
	link.target = '_blank';
	link.textContent = 'Sign in in a new tab';
	bar.hidden = false;
	bar.replaceChildren('You are signed out. What you wrote is still here. ', link, ', then come back and send it.');
});

// A user has signed in again in another tab.
document.addEventListener('keepalive:resumed', () => {
	bar.hidden = true;
});

// A claim that is sent without a session would be lost with the page.
document.getElementById('claim').addEventListener('submit', (event) => {
	if (bar.hidden) return;
	event.preventDefault();
	bar.focus();
});
