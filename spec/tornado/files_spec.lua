-- tornado.files: files read and written on threads.
local files = require "tornado.files"
local ioloop = require "tornado.ioloop"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local util = require "tornado.util"

local folder

local function path(name) return folder .. "/" .. name end

local function failure(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function fails(errno, reason, fn, name, ...)
    local err = failure(fn, path(name), ...)
    assert.is_true(util.isinstance(err, files.FileError), tostring(err))
    assert.equal(errno, err.errno)
    assert.equal(path(name), err.path)
    assert.equal("FileError: " .. path(name) .. ": " .. reason, tostring(err))
end

describe("tornado.files", function()
    before_each(function()
        folder = os.tmpname()
        os.remove(folder)
        files.mkdir(folder)
    end)

    after_each(function() os.execute("rm -rf " .. folder) end)

    it("writes and reads", function()
        local data = ("\0\1\255line\n"):rep(100000)
        files.write(path("a"), data)
        assert.is_true(files.read(path("a")) == data)
        files.write(path("a"), "short")
        assert.equal("short", files.read(path("a")))
        files.append(path("a"), "er")
        files.append(path("b"), "new")
        assert.equal("shorter", files.read(path("a")))
        assert.equal("new", files.read(path("b")))
        files.write(path("a"), "")
        assert.equal("", files.read(path("a")))
    end)

    it("replaces a file as a whole, keeping its mode", function()
        files.write(path("a"), "old", { mode = tonumber("640", 8) })
        local before = files.stat(path("a"))
        files.write(path("a"), "new", { atomic = true, sync = true })
        local after = files.stat(path("a"))
        assert.equal("new", files.read(path("a")))
        assert.are_not.equal(before.inode, after.inode)
        assert.equal(before.mode, after.mode)
        assert.same({ "a" }, files.list(folder))
        fails(2, "No such file or directory", files.write, "none/a", "x", { atomic = true })
        fails(17, "File exists", files.write, "a", "x", { exclusive = true })
    end)

    it("says what a file is", function()
        files.write(path("a"), "12345")
        os.execute(("ln -s a %s; ln -s none %s"):format(path("l"), path("broken")))
        local a = files.stat(path("a"))
        assert.equal("file", a.kind)
        assert.equal(5, a.size)
        assert.is_true(math.abs(a.modified - os.time()) < 100)
        assert.equal("folder", files.stat(folder).kind)
        assert.equal("file", files.stat(path("l")).kind)
        assert.equal("link", files.stat(path("l"), true).kind)
        assert.equal("other", files.stat("/dev/null").kind)
        assert.is_nil(files.stat(path("broken")))
        assert.is_nil(files.stat(path("a/b")))
    end)

    it("lists, renames and removes", function()
        assert.same({}, files.list(folder))
        files.mkdir(path("x/y/z"), { parents = true })
        files.mkdir(path("x/y/z"), { parents = true })
        files.write(path("b"), "")
        files.rename(path("b"), path("a b"))
        assert.same({ "a b", "x" }, files.list(folder))
        files.remove(path("a b"))
        files.remove(path("x/y/z"))
        assert.same({}, files.list(path("x/y")))
    end)

    it("raises with path and reason", function()
        files.write(path("a"), "x")
        files.mkdir(path("d"))
        fails(2, "No such file or directory", files.read, "none")
        fails(21, "Is a directory", files.read, "d")
        fails(27, "File too large", files.read, "a", 0)
        fails(2, "No such file or directory", files.list, "none")
        fails(20, "Not a directory", files.list, "a")
        fails(17, "File exists", files.mkdir, "d")
        fails(17, "File exists", files.mkdir, "a", { parents = true })
        fails(2, "No such file or directory", files.remove, "none")
        fails(2, "No such file or directory", function(from)
            files.rename(from, path("to"))
        end, "none")
        os.execute("mkfifo " .. path("fifo"))
        fails(22, "Invalid argument", files.read, "fifo")
        assert.equal("x", files.read(path("a"), 1))
    end)

    it("raises for bad arguments at the caller's line", function()
        for text, fn in pairs {
            ["bad path: expected string, got nil"] = function() files.list() end,
            ["bad path: expected a file's name, got \"a\\x00b\""] = function()
                files.remove("a\0b")
            end,
            ["bad data: expected string, got number"] = function() files.write("/x", 1) end,
            ["bad size: expected a number of bytes from 1 to 2 GiB, got 0"] = function()
                files.chunks("/x", 0)
            end,
            ['unknown option "atom"'] = function() files.write("/x", "", { atom = true }) end,
        } do
            local err = failure(fn)
            assert.matches("files_spec.lua:%d+: ", err)
            assert.truthy(err:find(text, 1, true), err)
        end
    end)

    it("reads in pieces", function()
        files.write(path("a"), "1234567")
        local pieces = {}
        for piece in files.chunks(path("a"), 3) do pieces[#pieces + 1] = piece end
        assert.same({ "123", "456", "7" }, pieces)
        assert.equal("123", files.chunks(path("a"), 3)())
        files.write(path("a"), "")
        for _ in files.chunks(path("a")) do error("nothing is there") end
        fails(2, "No such file or directory", function(name)
            for _ in files.chunks(name) do error("nothing is there") end
        end, "none")
    end)

    it("does not mix two files", function()
        files.write(path("a"), "123456")
        local err = failure(function()
            for _ in files.chunks(path("a"), 3) do
                files.write(path("a"), "abcdefg", { atomic = true })
            end
        end)
        assert.matches("it was changed while it was read", err.message)
    end)

    it("lets the loop go on, and forgets a cancelled wait", function()
        files.write(path("a"), ("x"):rep(1000000))
        local co
        local future = gen.spawn(function()
            co = coroutine.running()
            return failure(files.read, path("a"))
        end)
        ioloop.cancel(ioloop.waiter_of(co), "enough")
        assert.equal("enough", gen.await(future))
        testing.wait_until(function() return require("tornado.core").counts().jobs == 0 end)
    end)
end)
