/*
 * \brief  Image that is altered
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _ALTERED_IMAGE_H_
#define _ALTERED_IMAGE_H_

/* Genode includes */
#include <base/attached_ram_dataspace.h>
#include <os/vfs.h>

/* test includes */
#include <cap_checkpoint_test/image_bytes.h>

namespace Test { class Altered_image; }


/**
 * Copy of an image whose fields can be set
 */
class Test::Altered_image : private Attached_ram_dataspace, public Image_bytes
{
	private:

		static char *_copied(char *start, Attached_ram_dataspace const &original, size_t num_bytes)
		{
			memcpy(start, original.local_addr<char const>(), num_bytes);
			return start;
		}

	public:

		static constexpr unsigned NUM_SECTIONS = Image::num_sections(Image::COMPLETE);

		/* bytes that remain of it */
		size_t num_bytes;

		Altered_image(Env &env, Attached_ram_dataspace const &original, size_t num_bytes)
		:
			Attached_ram_dataspace(env.ram(), env.rm(), original.size()),
			Image_bytes(_copied(local_addr<char>(), original, num_bytes)), num_bytes(num_bytes)
		{ }

		void store(Directory &root, Directory::Path const &path) const
		{
			New_file file { root, path };
			if (file.append(start(), num_bytes) != New_file::Append_result::OK)
				error("file ", path, " cannot be written");
		}
};

#endif /* _ALTERED_IMAGE_H_ */
