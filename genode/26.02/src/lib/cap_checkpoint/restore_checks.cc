/*
 * \brief  Whether an image is one of this system, and tells all that a restore needs
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/restore.h>

using namespace Cap_checkpoint;


/**
 * Refuse the image of another kind of machine or another Genode
 */
bool Restore::_is_of_this_system()
{
	Image::System const system = _image.system();

	if (system.architecture != This_system::ARCHITECTURE)
		return _refuse(Refused::Reason::IMAGE, "architecture ", system.architecture);

	if (strcmp(system.release, This_system::RELEASE))
		return _refuse(Refused::Reason::IMAGE, "release ", Cstring(system.release));

	if (_image.num_members() > 1)
		return _refuse(Refused::Reason::IMAGE, "unit of ", _image.num_members(), " components");

	return true;
}


/**
 * Refuse sessions for children, of whom an image does not tell
 */
bool Restore::_is_childless()
{
	bool result = true;

	_image.for_each<Image::Session>([&] (size_t, Image::Session const &s) {

		bool const pd  = !strcmp(s.service, "PD")  && s.id != Parent::Env::pd().value,
		           cpu = !strcmp(s.service, "CPU") && s.id != Parent::Env::cpu().value;

		if (pd || cpu)
			result = _refuse(Refused::Reason::CHILDREN, Cstring(s.service), ", ", Cstring(s.args)); });

	return result;
}


/**
 * Return false if a session has memory that the image does not tell
 *
 * A component that goes on would find what a new session has.
 */
bool Restore::_memory_is_complete()
{
	bool all = true;

	_child.parent.for_each_session([&] (Open_session &session) {

		/* one whose module had no content at the time of the image may get memory by being opened */
		if (session.request.service == "ROM")
			return;

		session.for_each_memory([&] (uint32_t part, Dataspace &ds) {

			bool found = false;
			for (size_t i = 0; i < _dataspaces.count() && !found; i++)
				found = (_dataspaces[i] == &ds);

			if (all && !found)
				all = _refuse(Refused::Reason::MEMORY, "part ", part, " of session ",
				              session.request.id.value, " is missing"); }); });

	return all;
}


bool Restore::_servers_fit()
{
	bool all = true;

	_child.parent.for_each_session([&] (Open_session &session) {
		if (all && !session.restorable())
			all = _refuse(Refused::Reason::SESSION, session.request.service, ", ",
			              session.request.args, ": the server has something else"); });

	return all;
}
