-- tornado.repl.editor: keys as bytes, whole and in pieces; what the terminal shows.
local Editor = require "tornado.repl.editor"

local function typed(bytes, history, complete)
    local editor = Editor(history, complete)
    editor:begin "> "
    return editor:feed(bytes), editor:text(), editor
end

local function expect(text, bytes, history)
    local done, got = typed(bytes .. "\r", history)
    assert.equal("line", done)
    assert.equal(text, got)
end

describe("tornado.repl.editor", function()
    it("takes lines, and leaves what is behind for the next one", function()
        local done, text, editor = typed "ab\rcd\n"
        assert.equal("line ab", done .. " " .. text)
        editor:begin "> "
        assert.equal("line", editor:feed "")
        assert.equal("cd", editor:text())
    end)

    it("moves and deletes by characters", function()
        expect("axb", "ab\27[Dx")
        expect("aéb", "ab\2é")
        expect("ab", "aéb\27[D\127")
        expect("b", "ab\1\27[3~")
        expect("ba", "a\27[Hb")
        expect("ab", "a\1\27OFb")
        expect("1 a", "a\27[D1 ")
        expect("abc", "abc\27[C\27[C")
        expect("ab", "\127\27[D\27[3~ab")
    end)

    it("deletes words and lines", function()
        expect("one ", "one two\23")
        expect("x", "one two\21x")
        expect("one", "one two\27b\2\11")
        expect("two", "one two\27b\21")
        expect("1 one", "one\27[1;5D1 ")
    end)

    it("goes through the history and back", function()
        local history = { "first", "second" }
        expect("second", "draft\27[A", history)
        expect("first", "draft\27[A\27[A\27[A", history)
        expect("draft", "draft\27[A\27[A\27[B\27[B\27[B", history)
        expect("second!", "\16!", history)
    end)

    it("remembers what is new, up to a limit", function()
        local editor = Editor {}
        assert.is_true(editor:remember "a")
        assert.is_false(editor:remember "a")
        assert.is_false(editor:remember "  ")
        for i = 1, 1500 do editor:remember("line " .. i) end
        assert.equal(1000, #editor.history)
        assert.equal("line 1500", editor.history[1000])
    end)

    it("completes as far as there is one way", function()
        local function complete(before)
            return before == "st" and { "ring", "rip" } or before == "str" and { "" } or {}
        end
        local _, text, editor = typed("st\9", nil, complete)
        assert.equal("stri", text)
        assert.is_nil(editor.choices)
        _, text, editor = typed("st\9", nil, function() return { "x", "y" } end)
        assert.equal("st", text)
        assert.matches("^\nx  y\n\r> st", editor:render(80))
        _, text = typed("q\9", nil, complete)
        assert.equal("q", text)
    end)

    it("tells Ctrl-C and Ctrl-D", function()
        assert.equal("interrupt", (typed "ab\3"))
        assert.equal("end", (typed "\4"))
        expect("b", "ab\1\4")
    end)

    it("waits for keys and characters to come whole, and ignores others", function()
        for _, bytes in ipairs { "a\27[Dé\27[1;5Cb\27[99~\27x\27Oz\0\r", "ä€𝄞\r" } do
            local _, whole = typed(bytes)
            local editor = Editor()
            editor:begin "> "
            for byte in bytes:gmatch "." do editor:feed(byte) end
            assert.equal(whole, editor:text())
        end
        expect("éab", "a\27[Dé\27[1;5Cb\27[99~\27x\27Oz\0")
        expect("ä€𝄞", "ä€𝄞")
    end)

    it("shows the part around the cursor of a long line", function()
        local _, _, editor = typed(("0123456789"):rep(3))
        assert.equal("\r> " .. ("0123456789"):rep(3) .. "\27[K\r\27[32C", editor:render(80))
        assert.equal("\r> 34567890123456789\27[K\r\27[19C", editor:render(20))
        editor:feed "\1"
        assert.equal("\r> 01234567890123456\27[K\r\27[2C", editor:render(20))
    end)
end)
