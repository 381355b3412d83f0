/*
 * \brief  Report the state of a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* local includes */
#include <managed_child.h>

using namespace Checkpoint;


static char const *name_of(Managed_child::State state)
{
	switch (state) {
	case Managed_child::State::NEW:       return "waiting";
	case Managed_child::State::LOADING:   return "loading";
	case Managed_child::State::RUNNING:   return "running";
	case Managed_child::State::FROZEN:    return "frozen";
	case Managed_child::State::OFFERED:   return "offered";
	case Managed_child::State::UNDECIDED: return "undecided";
	case Managed_child::State::AWAY:      return "away";
	case Managed_child::State::STOPPED:   return "stopped";
	case Managed_child::State::EXITED:    return "exited";
	case Managed_child::State::FAILED:    return "failed";
	}
	return "unknown";
}


void Managed_child::generate(Generator &g)
{
	_changed = false;

	g.node("child", [&] {

		g.attribute("name",  _values.name);
		g.attribute("state", name_of(_state));

		if (_state == State::EXITED)
			g.attribute("exit_value", _exit_value);

		g.attribute("checkpoints", _stat.checkpoints);

		if (_stat.checkpoints)
			g.node("image", [&] {
				g.attribute("path",      _started.place.path);
				g.attribute("number",    _newest);
				g.attribute("bytes",     _stat.image_bytes);
				g.attribute("position",  _stat.position);
				g.attribute("chain_bytes", _stat.chain_bytes);
				g.attribute("pause_us",  _stat.pause_us);
				g.attribute("freeze_us", _stat.freeze_us);
				g.attribute("copy_us",   _stat.copy_us);
				g.attribute("save_us",   _stat.save_us);
				g.attribute("fill_us",   _stat.fill_us);
				g.attribute("write_us",  _stat.write_us); });

		if (_stat.checkpoints && _copies.constructed())
			g.node("copies", [&] {
				g.attribute("bytes",      _copies->ram_used());
				g.attribute("rounds",     _stat.rounds);
				g.attribute("pages",      _stat.pages);
				g.attribute("last_pages", _stat.last_pages);
				if (_copies->obstacle())
					g.attribute("missing", _copies->obstacle()); });

		if (_services.constructed())
			g.node("clients", [&] {
				Cap_checkpoint::Offer::Numbers const numbers = _services->numbers();
				g.attribute("count", numbers.clients);
				g.attribute("lost",  numbers.dead); });

		if (_ownership.constructed())
			g.node("owner", [&] {
				g.attribute("side",    _ownership->side() ? "b" : "a");
				g.attribute("epoch",   _ownership->epoch());
				g.attribute("moved",   _stat.moved);
				g.attribute("arrived", _stat.arrived);
				if (_begun.constructed())
					g.attribute("begun", true); });

		if (_job == Operation::WRITE)
			g.node("write", [&] {
				g.attribute("bytes", _common.store->progress());
				g.attribute("of",    _stat.image_bytes);
				g.attribute("late",  _job_is_late); });

		if (_job == Operation::LOAD)
			g.node("load", [&] { g.attribute("late", _job_is_late); });

		if (_stat.restored)
			g.node("restored", [&] {
				g.attribute("count",     _stat.restored);
				g.attribute("number",    _stat.from_number);
				g.attribute("installed", _stat.from_image.installed);
				g.attribute("rewritten", _stat.from_image.rewritten);
				g.attribute("unchanged", _stat.from_image.unchanged);
				g.attribute("dead",      _stat.from_image.dead);
				g.attribute("us",        _stat.restore_us); });

		if (_stat.refused)
			g.node("refused", [&] {
				g.attribute("count",     _stat.refused);
				g.attribute("operation", _stat.refused_operation);
				g.attribute("reason",    _stat.refusal); });
	});
}
