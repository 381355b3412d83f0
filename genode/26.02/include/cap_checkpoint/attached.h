/*
 * \brief  Local access to a dataspace
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__ATTACHED_H_
#define _INCLUDE__CAP_CHECKPOINT__ATTACHED_H_

/* Genode includes */
#include <base/env.h>
#include <dataspace/client.h>

namespace Cap_checkpoint {

	using namespace Genode;

	enum class Access { READ, WRITE };

	/**
	 * Part of a dataspace in bytes, as a whole by default
	 */
	struct Part { size_t offset = 0, size = 0; };

	/**
	 * Call 'fn' with local address and size of a dataspace
	 *
	 * \param part  what is attached of it. The end of an attachment takes its time
	 *              for each page of it.
	 * \return      false if the dataspace cannot be attached, 'fn' is not called then
	 */
	static inline bool with_attached(Env::Local_rm &local_rm, Dataspace_capability ds,
	                                 Access access, auto const &fn, Part const &part = { })
	{
		Env::Local_rm::Attach_attr attr { };
		attr.writeable = (access == Access::WRITE);
		attr.offset    = part.offset;
		attr.size      = part.size;

		return local_rm.attach(ds, attr).template convert<bool>(
			[&] (Env::Local_rm::Attachment &attachment) {
				fn((char *)attachment.ptr, attachment.num_bytes);
				return true; },
			[&] (auto) { return false; });
	}
}

#endif /* _INCLUDE__CAP_CHECKPOINT__ATTACHED_H_ */
