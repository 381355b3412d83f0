/*
 * \brief  Component that a monitor serves besides the one that it saves
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _BYSTANDER_H_
#define _BYSTANDER_H_

/* Genode includes */
#include <cap_checkpoint/child.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Bystander;
}


/**
 * The component counts what it is sent, and tells the number when it exits
 */
struct Test::Bystander : Virtual_parent::Exit_handler
{
	Monitor &_monitor;
	Child    _child;

	unsigned _sent = 0;

	enum class State { RUNNING, STOPPING, RIGHT, WRONG } state = State::RUNNING;

	void exited(int value) override
	{
		state = (unsigned(value) == _sent) ? State::RIGHT : State::WRONG;
	}

	Signal_context_capability _sigh(Image::Handler::Parent number)
	{
		return _child.parent.sighs[number];
	}

	Bystander(Monitor &monitor, Child::Quota const &quota)
	:
		_monitor(monitor),
		_child(monitor, Session::Label("bystander"), quota, *this, Cpu_session::DEFAULT_PRIORITY)
	{
		if (_child.start("test-cap_checkpoint-child") != Child::Start_result::OK)
			state = State::WRONG;
	}

	void send()
	{
		/* the component may still be starting up */
		if (!_sigh(Image::Handler::YIELD).valid())
			return;

		_monitor.own_pd.submit(_sigh(Image::Handler::HEARTBEAT), 1);
		_sent++;
	}

	void stop()
	{
		if (state == State::RUNNING && _sigh(Image::Handler::YIELD).valid()) {
			state = State::STOPPING;
			_monitor.own_pd.submit(_sigh(Image::Handler::YIELD), 1);
		}
	}
};

#endif /* _BYSTANDER_H_ */
