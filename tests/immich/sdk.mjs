// Make the requests of a follow-up by the package @immich/sdk, which immich's own programs use.
import * as sdk from '@immich/sdk';

const [url, apiKey, original, result, album] = process.argv.slice(2);
sdk.init({ baseUrl: `${url}/api`, apiKey });

await sdk.getServerVersion();
await sdk.getMyApiKey();
const find = async (path, page = 1) =>
  (await sdk.searchAssets({ metadataSearchDto: { originalPath: path, size: 250, page } })).assets.items[0];
const mended = await find(result);
const before = await find(original);
await sdk.getAssetInfo({ id: before.id });
await sdk.getAssetInfo({ id: mended.id });
const stack = await sdk.createStack({ stackCreateDto: { assetIds: [mended.id, before.id] } });
await sdk.getAllAlbums({ assetId: mended.id });
await sdk.getAllAlbums({ assetId: before.id });
await sdk.addAssetsToAlbum({ id: album, bulkIdsDto: { ids: [mended.id] } });
await sdk.updateAssets({ assetBulkUpdateDto: { ids: [mended.id], isFavorite: true, visibility: 'archive' } });
await sdk.updateAssetMetadata({
  id: mended.id,
  assetMetadataUpsertDto: { items: [{ key: 'photomend', value: { original: before.id, job: 1 } }] },
});
// The result is rejected.
for (const path of [result, original])
  await sdk.searchAssets({
    metadataSearchDto: { originalPath: path, size: 250, withDeleted: true, page: 1 },
  });
await sdk.getAssetInfo({ id: before.id });
await sdk.getStack({ id: stack.id });
await sdk.updateStack({ id: stack.id, stackUpdateDto: { primaryAssetId: before.id } });
await sdk.removeAssetFromStack({ id: stack.id, assetId: mended.id });
for (const library of await sdk.getAllLibraries()) await sdk.scanLibrary({ id: library.id });
