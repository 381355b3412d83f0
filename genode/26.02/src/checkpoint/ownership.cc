/*
 * \brief  Which of two systems has a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <ownership.h>

using namespace Checkpoint;


char const *Ownership::text(Obstacle obstacle)
{
	switch (obstacle) {
	case NO_OBSTACLE:
	case ELSEWHERE:
	case UNANSWERED:    break;
	case NOBODY_BEGINS: return "nobody has begun yet, and this side is not the first one";
	case DAMAGED:       return "a record of the other system is damaged";
	case UNDECIDED:     return "the other system may have taken the child";
	case CONTRADICTION: return "the records contradict each other";
	case SAME_SIDE:     return "another system writes the records of this side";
	case NOT_KEPT:      return "the medium does not keep a record";
	}
	return nullptr;
}


/**
 * Return true if both sides try to have the child, the other one since both had left
 *
 * It may have succeeded. That this side had left, too, may be in a record that is lost. What
 * the other side tried before the child was offered is over.
 */
bool Ownership::_both_begin() const
{
	Claim const &m = _mine.newest, &t = _theirs.newest;

	bool const begins = t.kind == Claim::WITHDRAWN && !t.seen;

	return m.kind == Claim::WITHDRAWN && begins && t.epoch > m.seen;
}


/**
 * Wait until the other side says whether it has taken the child in time
 */
Ownership::Step Ownership::_yield()
{
	/* it may wait for what is damaged */
	if (_mine.damaged)
		return _withdraw();

	_phase = YIELD;
	return _wait(UNDECIDED);
}


/**
 * The other side has the child, or nobody
 */
Ownership::Step Ownership::_step_on_theirs()
{
	Claim const &m = _mine.newest, &t = _theirs.newest;

	if (t.epoch > m.seen) {

		if (t.kind == Claim::OFFERED)
			return _prepare();

		/* it waits until it is told that the child was not taken */
		if (t.kind == Claim::WITHDRAWN && m.kind == Claim::TAKEN)
			return _leave();

		/* if both have left, one of them begins */
		if (_they_left() && (m.kind != Claim::LEFT || t.epoch > m.epoch
		                     || (t.epoch == m.epoch && !_side)))
			return _withdraw_since(0);
	}

	/* it may wait for what is damaged */
	if (_mine.damaged)
		return _leave();

	_phase = AWAY;
	return _wait(ELSEWHERE);
}


/**
 * Records of both sides are damaged
 */
Ownership::Step Ownership::_repair()
{
	Claim const &m = _mine.newest;

	bool const kept = m.kind == Claim::HELD || m.kind == Claim::OFFERED
	               || m.kind == Claim::WITHDRAWN;

	return kept && !_they_have_it() && !_they_took_it() ? _withdraw() : _leave();
}


Ownership::Step Ownership::_step_at_start()
{
	Claim const &m = _mine.newest, &t = _theirs.newest;

	_offer = m.kind == Claim::WITHDRAWN ? m.seen : m.epoch;

	/* whoever has offered nothing since then still has the child */
	if (m.kind == Claim::HELD && !_mine.damaged && (_theirs.damaged || !_they_have_it()))
		return _claim();

	if (_theirs.damaged)
		return _mine.damaged ? _repair() : _wait(DAMAGED);

	/* nobody had the child, or nothing is left of what was said */
	if (!m.epoch && !t.epoch && _mine.damaged)
		return _first ? _withdraw_since(0) : _leave();

	if (!m.epoch && !t.epoch)
		return _first ? _claim() : _wait(NOBODY_BEGINS);

	if (_both_begin())
		return _leave();

	switch (m.kind) {
	case Claim::WITHDRAWN:
		if (_they_took_it())
			return _yield();
		[[fallthrough]];
	case Claim::OFFERED:
	case Claim::HELD:
		if (_they_took_it() || _they_have_it())
			break;
		return _withdraw();
	case Claim::TAKEN:
		if (t.epoch == m.seen)
			return t.kind == Claim::OFFERED ? _prepare() : _leave();
		break;
	}
	return _step_on_theirs();
}


/**
 * The child is here unless the other side answers a record of this side that is lost
 *
 * The same holds if both sides begin.
 */
Ownership::Step Ownership::_step_on_claim()
{
	if (_they_took_it())
		return _yield();

	if (_they_have_it())
		return _leave();

	_phase = HOLD;
	return _run();
}


Ownership::Step Ownership::_step_away()
{
	if (_theirs.damaged)
		return _mine.damaged ? _leave() : _wait(DAMAGED);

	return _step_on_theirs();
}


/**
 * The child goes on unless the other side has taken it
 */
Ownership::Step Ownership::_step_on_withdrawal()
{
	if (_theirs.damaged)
		return _wait(UNDECIDED);

	if (_they_took_it())
		return _yield();

	if (_both_begin())
		return _leave();

	/* if it had taken the child, it may have saved it, and what is frozen here is of no use */
	if (_they_have_it() || (_they_left() && _theirs.newest.seen > _offer && _present))
		return _end();

	return _run_and_confirm();
}


Ownership::Step Ownership::_step_on_yield()
{
	if (_theirs.damaged)
		return _wait(UNDECIDED);

	return _theirs.newest.kind == Claim::TAKEN ? _yield() : _end();
}


Ownership::Step Ownership::_step_on_offer()
{
	if (_they_took_it() || _they_have_it())
		return _end();

	if (declined())
		return _withdraw();

	return _wait(UNANSWERED);
}


/**
 * The child goes on unless the offer is withdrawn
 */
Ownership::Step Ownership::_step_on_taking()
{
	if (_theirs.damaged)
		return _wait(DAMAGED);

	return _theirs.newest == _basis ? _run_and_confirm() : _leave();
}


Ownership::Step Ownership::_step_on_holding()
{
	_offer = _pending.epoch;

	if (!_theirs.damaged && _they_have_it())
		return _end();

	if ((_mine.newest != _pending || _mine.damaged) && !_exhausted())
		return _write(CONFIRM, Claim::HELD, _image(), _seen());

	return _run();
}


Ownership::Step Ownership::_step()
{
	switch (Phase(_phase)) {
	case START:     _pending = _mine.newest;
	                return _step_at_start();
	case CLAIM:     return _step_on_claim();
	case CONFIRM:   _phase = HOLD;
	                return _run();
	case HOLD:      return _step_on_holding();
	case WITHDRAW:  return _step_on_withdrawal();
	case YIELD:     return _step_on_yield();
	case OFFER:     return _step_on_offer();
	case PREPARING: return Step::PREPARE;
	case TAKE:      return _step_on_taking();
	case LEAVE:     return _end();
	case AWAY:      return _step_away();
	}
	return _wait(CONTRADICTION);
}


/**
 * Return what to do, given the records of both sides
 */
Ownership::Step Ownership::next(Registers const &registers)
{
	_mine   = registers.sides[_side];
	_theirs = registers.sides[!_side];

	/* two systems that take themselves for the same side cannot both be right */
	if (_phase != START && _mine.newest.epoch > _pending.epoch) {
		Step const step = _end();
		_obstacle = SAME_SIDE;
		return step;
	}

	/* who has the child goes on with it, but says nothing more */
	if (_phase != HOLD && _exhausted())
		return _wait(CONTRADICTION);

	if (_writing() && _mine.newest != _pending) {

		/* a medium that takes records, and forgets them, is given time */
		if (!_tried)
			return _attempt();

		_tried = 0;
		return _wait(NOT_KEPT);
	}

	Step const step = _step();

	if (_theirs.newest.epoch > _latest)
		_latest = _theirs.newest.epoch;

	return step;
}
