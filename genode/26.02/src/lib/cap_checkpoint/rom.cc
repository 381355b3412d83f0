/*
 * \brief  ROM session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/rom_session.h>

using namespace Cap_checkpoint;


Rom_source::Rom_source(Env &env, Session_policy::Rom const &rom)
{
	if (rom.content.valid()) {
		_ds = static_cap_cast<Rom_dataspace>(rom.content);
		return;
	}

	_server.construct(env, Rom_session::service_name(), rom.label,
	                  Open_session::Costs { { Rom_session::RAM_QUOTA },
	                                        { Rom_session::CAP_QUOTA } });
	if (valid())
		renew();
}


Rom_service_session::Rom_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                         Session_policy::Rom const &source, Name const &name,
                                         Id_space<Open_session> &space,
                                         Request const &request)
:
	Open_session(space, request), _ep(ep), _local_rm(env.rm()), _pd(pd),
	_source(env, source), name(name)
{
	_ep.manage(*this);

	if (!_source.valid())
		return;

	_dynamic = !_source.ds().valid();

	if (!_dynamic)
		_pd.dataspaces.add(Dataspace::Kind::ROM, Dataspace_client(_source.ds()).size(), CACHED,
		                   _source.ds())
			.with_result([&] (Dataspace *result) { ds = result; }, [&] (Alloc_error) { });
	else
		(void)_provide_copy(Image::PAGE_SIZE);
}


Rom_service_session::~Rom_service_session()
{
	_ep.dissolve(*this);

	if (ds)
		_pd.dataspaces.remove(*ds);
}


bool Rom_service_session::_compute_hash()
{
	return with_attached(_local_rm, _source.ds(), Access::READ, [&] (char *start, size_t size) {

		Sha256 hash { };
		hash.append(start, size);
		_hash = hash.digest(); });
}


bool Rom_service_session::_provide_copy(size_t const size)
{
	if (_copy.constructed() && _copy->size() == size)
		return true;

	_copy.construct(_pd, _local_rm, size);

	if (!_copy->valid())
		_copy.destruct();

	return _copy.constructed();
}


/**
 * Let the copy be the content of the server's dataspace
 */
bool Rom_service_session::_copy_content()
{
	return with_attached(_local_rm, _source.ds(), Access::READ, [&] (char *start, size_t size) {
		_copy->fill(start, size); });
}


/**
 * Take the dataspace of the server away from the component
 *
 * Other sessions may have the same one.
 */
void Rom_service_session::_release_original()
{
	if (!ds)
		return;

	if (ds->users == 1)
		while (Region * const region = ds->regions.first())
			region->map.detach(region->range.start);

	_pd.dataspaces.remove(*ds);
	ds = nullptr;
}


Cap_checkpoint::Dataspace *
Rom_service_session::provide_memory(uint32_t const part, size_t const size)
{
	/* a module that the image knows by its hash does not change */
	if (part || _hashed || !_provide_copy(size))
		return nullptr;

	_release_original();
	_dynamic = true;
	return _copy->ds();
}


/**
 * Let the component know about what has changed since the image was made
 */
void Rom_service_session::after_restore()
{
	if (!_dynamic)
		return;

	/* a component that got nothing, for lack of quota, gets another chance */
	bool same = false;

	if (!ds)
		_source.renew();

	(void)with_attached(_local_rm, _source.ds(), Access::READ, [&] (char *start, size_t size) {
		same = !ds && _copy.constructed() && size == _copy->size()
		    && !memcmp(start, _copy->start(), size); });

	if (!same)
		_pd.signals.raise(_sigh);
}


Rom_dataspace_capability Rom_service_session::dataspace()
{
	if (!_dynamic)
		return _source.ds();

	_release_original();
	_source.renew();

	if (!_source.ds().valid()
	 || !_provide_copy(align_addr(Dataspace_client(_source.ds()).size(), AT_PAGE))
	 || !_copy_content())
		return { };

	return static_cap_cast<Rom_dataspace>(_copy->ds()->cap);
}


bool Rom_service_session::update()
{
	/* the component may have no copy yet, or have detached it */
	if (!_copy.constructed() || !_copy->ds()->regions.first())
		return false;

	_source.renew();

	return _source.ds().valid() && Dataspace_client(_source.ds()).size() <= _copy->size()
	    && _copy_content();
}


void Rom_service_session::sigh(Signal_context_capability cap)
{
	_sigh = cap;

	/* the component keeps what it has until it asks for the new content */
	if (cap.valid() && !_dynamic) {
		_dynamic = _provide_copy(ds->size) && _copy_content();

		if (!_dynamic) {
			_copy.destruct();
			warning(_pd.name, ": no RAM for changes of ROM module ", name);
		}
	}
	if (_dynamic)
		_source.sigh(cap);
}
