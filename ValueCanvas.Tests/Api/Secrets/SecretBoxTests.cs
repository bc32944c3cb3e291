using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Tests.Api.Secrets;

public sealed class SecretBoxTests
{
    private static readonly byte[] Secret = [1, 2, 3, 4, 5];

    private readonly SecretBox _box = With("the first secret of this installation");

    [Fact]
    public void Open_WhatWasSealed_IsTheSecret() =>
        Assert.Equal(Secret, _box.Open("provider-key", "row 1", _box.Seal("provider-key", "row 1", Secret)));

    [Fact]
    public void Seal_Twice_IsNeverTheSame() => Assert.NotEqual(_box.Seal("p", "r", Secret), _box.Seal("p", "r", Secret));

    [Theory]
    [InlineData("signing-key", "row 1")]
    [InlineData("provider-key", "row 2")]
    [InlineData("provider-key\0row", "1")]
    public void Open_ForAnotherPurposeOrRow_IsRefused(string purpose, string row)
    {
        var box = _box.Seal("provider-key", "row 1", Secret);

        Assert.ThrowsAny<CryptographicException>(() => _box.Open(purpose, row, box));
    }

    [Fact]
    public void Open_AnyBitChanged_IsRefused()
    {
        var box = _box.Seal("p", "r", Secret);
        for (var bit = 0; bit < box.Length * 8; bit++)
        {
            var changed = (byte[])box.Clone();
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.ThrowsAny<CryptographicException>(() => _box.Open("p", "r", changed));
        }
    }

    [Fact]
    public void Open_CutOff_IsRefused()
    {
        var box = _box.Seal("p", "r", Secret);
        for (var length = 0; length < box.Length; length++)
            Assert.ThrowsAny<CryptographicException>(() => _box.Open("p", "r", box.AsSpan(0, length)));
    }

    [Fact]
    public void Open_SealedUnderAnotherSecret_IsRefused() =>
        Assert.ThrowsAny<CryptographicException>(
            () => With("the second secret of this installation").Open("p", "r", _box.Seal("p", "r", Secret)));

    [Fact]
    public void DeriveKey_DiffersByPurposeAndSecretAlone()
    {
        Assert.Equal(_box.DeriveKey("a"), With("the first secret of this installation").DeriveKey("a"));
        Assert.NotEqual(_box.DeriveKey("a"), _box.DeriveKey("b"));
        Assert.NotEqual(_box.DeriveKey("a"), With("the second secret of this installation").DeriveKey("a"));
    }

    private static SecretBox With(string secret) => new(Options.Create(new SecretOptions { SecretKey = secret }));
}
