/*
 * \brief  File that holds images
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _IMAGE_FILE_H_
#define _IMAGE_FILE_H_

/* local includes */
#include <types.h>

namespace Checkpoint { class Image_file; }


/**
 * File of the VFS, with synchronous operations that report errors
 *
 * To be used by the thread that accesses the VFS. Unlike 'New_file', it has offsets,
 * and a medium that takes no more bytes is an error.
 */
class Checkpoint::Image_file : Noncopyable
{
	private:

		using File_io = Vfs::File_io_service;
		using Open    = Vfs::Directory_service;

		/* each request takes its time, whatever its size */
		static constexpr size_t CHUNK_SIZE = 256*1024;

		Vfs::Env::Io    &_io;
		Vfs::Vfs_handle *_handle = nullptr;

		/*
		 * Noncopyable
		 */
		Image_file(Image_file const &);
		Image_file &operator = (Image_file const &);

		/**
		 * Write a part of the bytes
		 *
		 * \return  number of bytes that the medium took, 0 for none
		 */
		size_t _write_some(uint64_t at, Const_byte_range_ptr const &bytes)
		{
			for (;;) {
				size_t written = 0;

				_handle->seek(at);

				switch (_handle->fs().write(_handle, bytes, written)) {
				case File_io::WRITE_OK:              return min(written, bytes.num_bytes);
				case File_io::WRITE_ERR_INVALID:
				case File_io::WRITE_ERR_IO:          return 0;
				case File_io::WRITE_ERR_WOULD_BLOCK: break;
				}
				_io.commit_and_wait();
			}
		}

		size_t _read_some(uint64_t at, Byte_range_ptr const &bytes)
		{
			_handle->seek(at);

			while (!_handle->fs().queue_read(_handle, bytes.num_bytes))
				_io.commit_and_wait();

			for (;;) {
				size_t read = 0;

				switch (_handle->fs().complete_read(_handle, bytes, read)) {
				case File_io::READ_OK:              return min(read, bytes.num_bytes);
				case File_io::READ_ERR_INVALID:
				case File_io::READ_ERR_IO:          return 0;
				case File_io::READ_ERR_WOULD_BLOCK:
				case File_io::READ_QUEUED:          break;
				}
				_io.commit_and_wait();
			}
		}

	public:

		enum class Mode { READ, WRITE };

		Image_file(Root_directory &root, Path const &path, Mode mode) : _io(root.io())
		{
			unsigned flags = Open::OPEN_MODE_RDONLY;

			if (mode == Mode::WRITE) {
				Genode::Path<Directory::MAX_PATH_LEN> folder { path };
				folder.strip_last_element();
				root.create_sub_directory(folder.string());

				flags = Open::OPEN_MODE_WRONLY;
				if (!root.file_exists(path))
					flags |= Open::OPEN_MODE_CREATE;
			}

			Vfs::Vfs_handle *handle = nullptr;
			if (root.root_dir().open(path.string(), flags, &handle, root.alloc()) == Open::OPEN_OK)
				_handle = handle;
		}

		~Image_file() { if (_handle) _handle->close(); }

		bool opened() const { return _handle; }

		/**
		 * Write all bytes
		 *
		 * \param fn  called with the number of bytes that are written so far
		 */
		bool write(uint64_t at, char const *start, size_t num_bytes, auto const &fn)
		{
			for (size_t done = 0; done < num_bytes; fn(done)) {

				size_t const written = _write_some(at + done,
					{ start + done, min(num_bytes - done, CHUNK_SIZE) });

				if (!written)
					return false;

				done += written;
			}
			return true;
		}

		/**
		 * Return number of bytes that could be read
		 */
		size_t read(uint64_t at, char *start, size_t num_bytes)
		{
			size_t done = 0;

			while (done < num_bytes) {

				size_t const read = _read_some(at + done,
					{ start + done, min(num_bytes - done, CHUNK_SIZE) });

				if (!read)
					break;

				done += read;
			}
			return done;
		}

		bool truncate(uint64_t size)
		{
			return _handle->fs().ftruncate(_handle, size) == File_io::FTRUNCATE_OK;
		}

		/**
		 * Wait until all is on the medium
		 */
		bool sync()
		{
			while (!_handle->fs().queue_sync(_handle))
				_io.commit_and_wait();

			for (;;) {
				switch (_handle->fs().complete_sync(_handle)) {
				case File_io::SYNC_OK:          return true;
				case File_io::SYNC_ERR_INVALID: return false;
				case File_io::SYNC_QUEUED:      break;
				}
				_io.commit_and_wait();
			}
		}
};

#endif /* _IMAGE_FILE_H_ */
